"""The simulator as the deployment's venue, for verbs that ask it over HTTP, and what must not change if they refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils import timezone

from backoffice.who import By
from brokerage import linking
from brokerage.models import Grant, TradingAccount
from compliance.clients import Opening
from ledger.models import Entry
from tests import world
from tests.signing_in import approved


def begun(opening: Opening) -> str:
    """Where a client who begins to link is sent."""
    return linking.begin(
        client=opening.client,
        user=opening.user,
        redirect_url=settings.CONFIG.redirect_urls[0],
        by=By.user(opening.user),
        at=timezone.now(),
    ).url


def complete(opening: Opening, state: str, code: str) -> linking.Linked:
    return linking.complete(
        user=opening.user, state=state, code=code, by=By.user(opening.user), now=timezone.now
    )


def linked(opening: Opening | None = None, **given: Any) -> linking.Linked:
    """A client who went to the venue's sign-in, said yes, and came back."""
    opening = opening or world.client()
    return complete(opening, *approved(begun(opening), **given))


def with_token(opening: Opening, token: str) -> linking.Linked:
    return linking.complete_with_token(
        client=opening.client, user=opening.user, token=token, by=By.user(opening.user), now=timezone.now
    )


def everything() -> list[Any]:
    """Grants, accounts and entries, as they are."""
    accounts = TradingAccount.objects.order_by("pk").values_list(
        "pk", "state", "grant", "is_default", "login_id", "cash__posted", "generation"
    )
    grants = Grant.objects.order_by("pk").values_list("pk", "state", "kind", "granted_at", "ended_at")
    return [*accounts, *grants, Entry.objects.count()]


@contextmanager
def nothing_moves() -> Iterator[None]:
    """What happens inside leaves grants, accounts and entries as they were."""
    before = everything()
    yield
    assert everything() == before
