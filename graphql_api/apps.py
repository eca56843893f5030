"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig
from django.urls import reverse


class GraphqlApiConfig(AppConfig):
    name = "graphql_api"

    def ready(self) -> None:
        from backoffice.admin import ports

        ports.client_views.register(
            "reference_client", lambda client_id: reverse("view_as_client", args=[client_id])
        )
