"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from backoffice import monitoring, vitals
        from backoffice.state_diagrams import state_diagrams
        from jobs.states_document import failed_job
        from jobs.vitals import DEAD_LETTERS, QUEUE_OLDEST, SCHEDULE_OVERDUE

        state_diagrams.register("failed_job", failed_job, order=90)
        vitals.register(QUEUE_OLDEST, order=40)
        vitals.register(SCHEDULE_OVERDUE, order=41)
        vitals.register(DEAD_LETTERS, order=42)
        monitoring.declaring.register("jobs", "jobs.middleware")
