"""The kernel as a Django app."""

from django.apps import AppConfig


class BackofficeConfig(AppConfig):
    name = "backoffice"
    verbose_name = "Kernel"

    def ready(self) -> None:
        from django.conf import settings

        from backoffice import addresses, monitoring, states_document, vitals
        from backoffice.backups.verifications import events, verifications
        from backoffice.own_vitals import EVENTS_WAITING, PROCESSES_MISSING, STUCK
        from backoffice.state_diagrams import state_diagrams

        addresses.networks(settings.CONFIG.trusted_proxies)  # what cannot be read is noticed now
        state_diagrams.register("mail", states_document.mail, order=10)
        monitoring.register()
        vitals.register(PROCESSES_MISSING, order=10)
        vitals.register(EVENTS_WAITING, order=20)
        vitals.register(STUCK, order=30)
        verifications.register("events", events, order=10)
