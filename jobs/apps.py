"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from backoffice.state_diagrams import state_diagrams
        from jobs.states_document import failed_job

        state_diagrams.register("failed_job", failed_job, order=90)
