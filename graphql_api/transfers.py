"""Money of a client's into another currency of their own, or to another client."""

from datetime import datetime
from typing import Annotated

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.errors import InvalidInput
from backoffice.who import By
from compliance import clients
from graphql_api import limits
from graphql_api.brokerage import id_of
from graphql_api.clients import acting_client, client_of
from graphql_api.payments import Wallet
from graphql_api.types import Money, Problem, price
from graphql_api.viewer import problem_as_answer, problem_as_error, user_of
from ledger import models as db
from ledger import quotes, transfer_codes, transfers

TransferState = db.Transfer.State
strawberry.enum(
    TransferState,
    name="TransferState",
    description="Where it is. WAITING is held until somebody looked at it; all others are final.",
)


@strawberry.type(
    description="What you get for your money in another currency, if you say so in time. Used once."
)
class Quote:
    id: strawberry.ID
    given: Money
    got: Money = strawberry.field(
        description="What arrives: the spread is taken off, and it is rounded down."
    )
    spread: Money = strawberry.field(description="What we keep of it.")
    rate: str = strawberry.field(description="What one unit given brings.")
    mid_rate: str
    valid_until: datetime

    @staticmethod
    def of(row: db.Quote) -> "Quote":
        return Quote(
            id=strawberry.ID(str(row.uuid)), given=Money.of(row.given, row.given_currency_id),
            got=Money.of(row.got, row.got_currency_id), spread=Money.of(row.spread, row.got_currency_id),
            rate=price(row.rate) or "0", mid_rate=price(row.mid) or "0", valid_until=row.valid_until,
        )  # fmt: skip


@strawberry.type(description="Money from one wallet to another.")
class Transfer:
    id: strawberry.ID
    client_id: strawberry.ID
    reference: str
    state: TransferState
    is_final: bool
    given: Money
    got: Money
    told: str | None = strawberry.field(description="Why it is where it is, where there is something to say.")
    requested_at: datetime

    @staticmethod
    def of(row: db.Transfer) -> "Transfer":
        return Transfer(
            id=strawberry.ID(str(row.uuid)), client_id=strawberry.ID(str(row.client.uuid)), reference=row.reference,
            state=TransferState(row.state), is_final=row.is_final, given=Money.of(row.given, row.given_currency_id),
            got=Money.of(row.got, row.got_currency_id), told=row.told or None, requested_at=row.requested_at,
        )  # fmt: skip


@strawberry.type
class QuoteAnswer:
    quote: Quote


@strawberry.type
class TransferAnswer:
    transfer: Transfer
    wallets: list[Wallet] = strawberry.field(
        description="Your wallets it touched, with their balances after this."
    )

    @staticmethod
    def of(row: db.Transfer) -> "TransferAnswer":
        wallets = [row.from_wallet, row.to_wallet] if row.is_exchange else [row.from_wallet]
        return TransferAnswer(transfer=Transfer.of(row), wallets=[Wallet.of(wallet) for wallet in wallets])


@strawberry.input
class QuoteTransferInput:
    from_currency: str
    to_currency: str
    amount: str = strawberry.field(description="Of the first currency, as text.")
    client: strawberry.ID | None = strawberry.field(default=None, description="Unset: the first you act for.")


@strawberry.input(
    description="Either `quote`, to exchange what it says; or `to`, `currency` and `amount`, to send money to another client."
)
class TransferInput:
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same transfer.")
    quote: strawberry.ID | None = None
    to: str | None = strawberry.field(default=None, description="The other client's transfer code.")
    currency: str | None = None
    amount: str | None = None
    client: strawberry.ID | None = strawberry.field(default=None, description="Unset: the first you act for.")


QuoteTransferResult = Annotated[QuoteAnswer | Problem, strawberry.union("QuoteTransferResult")]
TransferResult = Annotated[TransferAnswer | Problem, strawberry.union("TransferResult")]


@strawberry.type
class Query:
    @strawberry.field(
        description="By which code other clients send you money. It says nothing of who you are, and never changes."
    )
    @problem_as_error
    def transfer_code(self, info: Info, client: strawberry.ID | None = None) -> str:
        return transfer_codes.code_of(client_of(user_of(info), client))


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Ask what an amount brings in another currency. The answer holds for some seconds; nothing moves."
    )
    @problem_as_answer
    def quote_transfer(self, info: Info, input: QuoteTransferInput) -> QuoteTransferResult:
        user = user_of(info)
        owner = acting_client(user, input.client)
        limits.take_all(info, ("quote", str(owner.pk)))
        row = quotes.quote(
            owner, given=input.from_currency, got=input.to_currency, amount=input.amount, by=By.user(user), at=timezone.now()
        )  # fmt: skip
        return QuoteAnswer(quote=Quote.of(row))

    @strawberry.mutation(
        description="Exchange what a quote says, or (owners) send money to another client. It is done at once unless it has to be looked at."
    )
    @problem_as_answer
    def transfer(self, info: Info, input: TransferInput) -> TransferResult:
        user = user_of(info)
        sends = input.to is not None and input.currency is not None and input.amount is not None
        if sends == (input.quote is not None):
            raise InvalidInput("Give a quote; or a code, a currency and an amount.", field="quote")
        if input.quote is not None:
            found = quotes.of_user(user, id_of(input.quote))
            clients.check_role(found)
            limits.take_all(info, ("transfer", str(found.client_id)))
            row = transfers.exchange(found, by=By.user(user), at=timezone.now(), key=input.key)
        else:
            owner = acting_client(user, input.client, owned=True)
            limits.take_all(info, ("transfer", str(owner.pk)))
            row = transfers.send(
                owner, to=input.to or "", currency=input.currency or "", amount=input.amount or "", by=By.user(user),
                at=timezone.now(), key=input.key,
            )  # fmt: skip
        return TransferAnswer.of(row)
