"""Live balances: the caller's wallets as they are, then each as it changes, whatever changed it."""

from collections.abc import AsyncGenerator
from datetime import datetime
from uuid import UUID

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.errors import DomainError
from compliance.models import Client
from graphql_api import live
from graphql_api.listeners import Reader, listening
from graphql_api.payments import Wallet, wallets_of
from graphql_api.sharing import Shared, Teller
from graphql_api.viewer import as_error


@strawberry.type(
    description="A wallet as it is now. Each message says all of it, so none that was missed is missed."
)
class WalletBalance(Shared):
    wallet: Wallet
    at: datetime
    version: strawberry.Private[tuple[UUID, int]]


@strawberry.type
class Subscription:
    @strawberry.subscription(description="Your wallets: each as it is, then each time its balances change.")
    async def wallet_balance(
        self, info: Info, currency: str | None = None
    ) -> AsyncGenerator[WalletBalance, None]:
        try:
            async with listening(info) as me:
                clients, teller = await live.read(_clients, me.reader), Teller(info)
                told: dict[UUID, int] = {}
                with live.hub().listening(f"client:{client}" for client in clients) as topics:
                    found = await topics.read(_balances, me.reader, currency)
                    while True:
                        for one in found:
                            wallet, version = one.version
                            if told.get(wallet) != version:
                                told[wallet] = version
                                if not await teller.told(one):
                                    yield one
                        found = await topics.next(_balances, me.reader, currency)
                        await me.check()  # logged out or expired meanwhile: nothing more is told
        except DomainError as refusal:
            raise as_error(refusal) from None


def _clients(reader: Reader) -> tuple[UUID, ...]:
    return tuple(Client.objects.of_user(reader.user).values_list("uuid", flat=True))


def _balances(reader: Reader, currency: str | None) -> list[WalletBalance]:
    """All wallets asked for; the database counts a version with each change of posted or held."""
    rows = wallets_of(reader.user).order_by("client_id", "currency_id")
    if currency is not None:
        rows = rows.filter(currency=currency)
    now = timezone.now()
    return [WalletBalance(wallet=Wallet.of(row), at=now, version=(row.uuid, row.version)) for row in rows]
