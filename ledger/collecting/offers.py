"""Which collector takes a method in a currency here, if any."""

from ledger.collecting.port import Collector, collectors
from ledger.deposits import DepositNotOffered


def collector_for(method: str, currency: str) -> Collector:
    """The one that takes it.

    :raises DepositNotOffered: if nobody does: its keys are not set, or it does not take the currency.
    """
    for one in collectors:
        if one.method == method and currency in one.currencies():
            return one
    raise DepositNotOffered(f"There are no deposits that way in {str(currency)[:12]} here.", field="method")
