"""The kernel as a Django app."""

from django.apps import AppConfig


class BackofficeConfig(AppConfig):
    name = "backoffice"
    verbose_name = "Kernel"

    def ready(self) -> None:
        from backoffice import states_document
        from backoffice.state_diagrams import state_diagrams

        state_diagrams.register("mail", states_document.mail, order=10)
