"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class BrokerageConfig(AppConfig):
    name = "brokerage"

    def ready(self) -> None:
        from brokerage.accounts import open_first_demo
        from compliance.clients import opening_steps

        opening_steps.register("demo_account", open_first_demo)
