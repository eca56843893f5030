"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig
from django.urls import reverse


class GraphqlApiConfig(AppConfig):
    name = "graphql_api"

    def ready(self) -> None:
        from django.conf import settings

        from backoffice import monitoring
        from backoffice.admin import ports
        from graphql_api import limits

        limits.read(settings.CONFIG.rate_limits)  # what cannot be read is noticed now
        for module in ("viewer", "sharing"):
            monitoring.declaring.register(f"api_{module}", f"graphql_api.{module}")
        ports.client_views.register(
            "reference_client", lambda client_id: reverse("view_as_client", args=[client_id])
        )
