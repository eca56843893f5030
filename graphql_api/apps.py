"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class GraphqlApiConfig(AppConfig):
    name = "graphql_api"

    def ready(self) -> None:
        from django.conf import settings

        from backoffice import monitoring
        from graphql_api import limits

        limits.read(settings.CONFIG.rate_limits)  # what cannot be read is noticed now
        for module in ("viewer", "sharing"):
            monitoring.declaring.register(f"api_{module}", f"graphql_api.{module}")
