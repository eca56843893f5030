"""Puts the composed console in the place of Django's own admin site."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    default_site = "backoffice.console.site.Console"
