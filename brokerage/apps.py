"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class BrokerageConfig(AppConfig):
    name = "brokerage"

    def ready(self) -> None:
        from backoffice import monitoring, vitals
        from backoffice.documents import documents, part_of
        from backoffice.state_diagrams import state_diagrams
        from brokerage import control, states_document
        from brokerage.accounts import open_first_demo
        from brokerage.deriv import calls_document
        from brokerage.vitals import FEED_SILENT, LINKS_DOWN
        from compliance.clients import opening_steps
        from ledger import history
        from ledger.control import checks, explain

        checks.live_subjects.register("trade", control.live_trades)
        checks.live_subjects.register("funding", control.live_fundings)
        explain.explains.register("trade", control.explain_trades)
        explain.explains.register("funding", control.explain_fundings)
        explain.explains.register("trading_account", control.explain_accounts)
        explain.explains.register("markup_report", control.explain_markup)
        history.kinds.register("funding", history.Kind(history.Type.TRANSFER, control.WORDS))
        history.requests.register("funding", control.FUNDINGS)
        opening_steps.register("demo_account", open_first_demo)
        state_diagrams.register("trade", states_document.trade, order=30)
        state_diagrams.register("trading_account", states_document.trading_account, order=31)
        state_diagrams.register("grant", states_document.grant, order=32)
        state_diagrams.register("grant_request", states_document.grant_request, order=33)
        state_diagrams.register("venue_line", states_document.venue_line, order=34)
        state_diagrams.register("difference", states_document.difference, order=35)
        state_diagrams.register("funding", states_document.funding, order=37)
        state_diagrams.register("markup_report", states_document.markup_report, order=36)
        vitals.register(FEED_SILENT, order=60)
        vitals.register(LINKS_DOWN, order=61)
        for module in ("budget", "call_clock"):
            monitoring.declaring.register(f"streams_{module}", f"brokerage.streams.{module}")
        documents.register("docs/deriv.md", part_of("docs/deriv.md", calls_document.render), order=40)
