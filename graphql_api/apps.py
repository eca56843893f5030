"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class GraphqlApiConfig(AppConfig):
    name = "graphql_api"

    def ready(self) -> None:
        from django.conf import settings

        from graphql_api import limits

        limits.read(settings.CONFIG.rate_limits)  # what cannot be read is noticed now
