"""The actor that reads what the custodian tells of coins that came; it runs by the clock, which is its sweep too."""

import logging

from django.utils import timezone

from backoffice.errors import DomainError
from jobs.declare import actor
from ledger import coins
from ledger.custodian import client
from ledger.providers.port import ProviderError

_log = logging.getLogger(__name__)


@actor("coins.read", time_limit_seconds=60, every=5, max_retries=0, throws=(DomainError,))
def read() -> None:
    """Read the custodian's changes, and credit what is buried deep enough."""
    if not client.is_there():
        return
    try:
        coins.read(now=timezone.now)
    except ProviderError as found:
        _log.info("the custodian was not read, it is again in a moment: %s", found)
