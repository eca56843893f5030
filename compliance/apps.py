"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    name = "compliance"

    def ready(self) -> None:
        from backoffice.starting_data import starting_data
        from backoffice.state_diagrams import state_diagrams
        from compliance import defaults, states_document

        starting_data.register("limits", defaults.load)
        state_diagrams.register("approval", states_document.approval, order=15)
