"""Wallets, and deposits into them."""

from datetime import datetime
from typing import Annotated

import strawberry
from django.conf import settings
from django.utils import timezone
from strawberry.types import Info

from backoffice.models import User
from backoffice.who import By
from compliance import clients
from compliance.models import Client
from graphql_api import connections, limits
from graphql_api.brokerage import id_of
from graphql_api.clients import acting_client, client_of
from graphql_api.types import Money, Problem
from graphql_api.viewer import problem_as_answer, problem_as_error, user_of
from ledger import coins, deposits
from ledger import models as db
from ledger.collecting import port as collecting
from ledger.collecting import taking
from ledger.models import AccountQuerySet, DepositQuerySet

DepositState = db.Deposit.State
strawberry.enum(
    DepositState,
    name="DepositState",
    description="Where it is. What comes after CANCELLED or EXPIRED is credited all the same.",
)
PaymentMethod = db.Method
strawberry.enum(PaymentMethod, name="PaymentMethod", description="How money comes or goes.")


@strawberry.type(description="The money we hold for a client ourselves, in one currency.")
class Wallet:
    id: strawberry.ID
    client_id: strawberry.ID
    currency: str
    posted: Money = strawberry.field(description="What is in it.")
    held: Money = strawberry.field(description="What of it is set aside for something asked for.")
    available: Money

    @staticmethod
    def of(row: db.Account) -> "Wallet":
        currency = row.currency_id
        return Wallet(
            id=strawberry.ID(str(row.uuid)),
            client_id=strawberry.ID(str(row.client_id)),
            currency=currency,
            posted=Money.of(row.posted, currency),
            held=Money.of(row.held, currency),
            available=Money.of(row.available, currency),
        )


@strawberry.type(
    description="Where to pay, and what to write on the payment: without the reference it takes longer."
)
class PaymentInstructions:
    reference: str
    holder: str
    bank: str | None
    iban: str | None
    account_number: str | None
    bic: str | None
    address: str | None = strawberry.field(
        default=None,
        description="Where to send coins: the client's own, always the same for a currency and network.",
    )
    network: str | None = strawberry.field(
        default=None, description="The chain the address is on; coins sent over another are lost."
    )

    @staticmethod
    def of(row: db.Deposit, given: db.DepositAddress | None = None) -> "PaymentInstructions | None":
        if not row.is_open:
            return None
        if row.method == PaymentMethod.CRYPTO:
            rows = db.DepositAddress.objects.filter(client=row.client_id, currency=row.currency_id)
            given = given or rows.order_by("id").first()
            return (
                None
                if given is None
                else PaymentInstructions(
                    reference=row.reference,
                    holder=settings.CONFIG.company_name,
                    bank=None,
                    iban=None,
                    account_number=None,
                    bic=None,
                    address=given.address,
                    network=given.network,
                )
            )
        account = deposits.pays_into(row.currency_id) if row.method == PaymentMethod.BANK else None
        return (
            None
            if account is None
            else PaymentInstructions(
                reference=row.reference,
                holder=account.holder,
                bank=account.bank_name or None,
                iban=account.iban or None,
                account_number=account.number or None,
                bic=account.bic or None,
            )
        )


ClawBackKind = db.ClawBack.Kind
strawberry.enum(
    ClawBackKind, name="ClawBackKind", description="A refund of ours, or a chargeback of the payer's bank."
)
ClawBackState = db.ClawBack.State
strawberry.enum(ClawBackState, name="ClawBackState", description="Where it is.")


@strawberry.type(
    description="What the app needs to have the client pay, by card or PayPal. Nothing is paid by it."
)
class Collect:
    client_secret: str | None = strawberry.field(description="For Stripe's form: confirms this one payment.")
    publishable_key: str | None = strawberry.field(description="Whose form it is.")
    url: str | None = strawberry.field(description="Where the client goes to approve it, at PayPal.")

    @staticmethod
    def of(found: collecting.Collect | None) -> "Collect | None":
        if found is None:
            return None
        return Collect(
            client_secret=found.client_secret or None,
            publishable_key=found.publishable_key or None,
            url=found.url or None,
        )


@strawberry.type(description="Money of a deposit that went back to whoever paid it, or may.")
class ClawBack:
    id: strawberry.ID
    kind: ClawBackKind
    state: ClawBackState
    why: str
    amount: Money
    created_at: datetime

    @staticmethod
    def of(row: db.ClawBack) -> "ClawBack":
        return ClawBack(
            id=strawberry.ID(str(row.uuid)),
            kind=ClawBackKind(row.kind),
            state=ClawBackState(row.state),
            why=row.why,
            amount=Money.of(row.amount, row.currency_id),
            created_at=row.requested_at,
        )


@strawberry.type(description="Money into a wallet, from the moment the client says that it will come.")
class Deposit:
    id: strawberry.ID
    client_id: strawberry.ID
    method: PaymentMethod
    state: DepositState
    why: str = strawberry.field(description="One sentence: why it is where it is, and what comes next.")
    amount: Money = strawberry.field(description="What was asked for.")
    received: Money | None = strawberry.field(description="What came.")
    fee: Money = strawberry.field(description="What we took of it; the wallet got the rest.")
    reference: str
    note: str | None
    created_at: datetime
    expires_at: datetime | None = strawberry.field(description="Until when it is waited for, while it is.")
    completed_at: datetime | None
    claw_backs: list[ClawBack] = strawberry.field(
        description="Refunds and chargebacks of it, the first first."
    )

    @staticmethod
    def of(row: db.Deposit) -> "Deposit":
        currency = row.currency_id
        return Deposit(
            id=strawberry.ID(str(row.uuid)),
            client_id=strawberry.ID(str(row.client.uuid)),
            method=PaymentMethod(row.method),
            state=DepositState(row.state),
            why=row.why,
            amount=Money.of(row.amount, currency),
            received=Money.maybe(row.received, currency),
            fee=Money.of(row.fee, currency),
            reference=row.reference,
            note=row.note or None,
            created_at=row.created_at,
            expires_at=row.expires_at if row.is_open else None,
            completed_at=row.completed_at,
            claw_backs=_claw_backs(row),
        )


def _claw_backs(row: db.Deposit) -> list[ClawBack]:
    """None are asked for where nothing came that could go back."""
    rows = row.claw_backs.all() if row.received is not None else ()
    return [ClawBack.of(one) for one in sorted(rows, key=lambda one: one.pk)]


@strawberry.type
class DepositAnswer:
    deposit: Deposit
    wallet: Wallet = strawberry.field(description="The wallet, with its balances after this.")
    instructions: PaymentInstructions | None = strawberry.field(
        description="Of a bank transfer or coins that are waited for."
    )
    collect: Collect | None = strawberry.field(
        description="Of a deposit by card or PayPal that is not paid yet."
    )

    @staticmethod
    def of(
        row: db.Deposit, *, collect: collecting.Collect | None = None, given: db.DepositAddress | None = None
    ) -> "DepositAnswer":
        return DepositAnswer(
            deposit=Deposit.of(row),
            wallet=Wallet.of(row.wallet),
            instructions=PaymentInstructions.of(row, given),
            collect=Collect.of(collect),
        )


@strawberry.input
class CreateDepositInput:
    currency: str
    amount: str = strawberry.field(description="What will come, as text.")
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same deposit.")
    method: PaymentMethod = PaymentMethod.BANK
    network: str | None = strawberry.field(
        default=None, description="Of coins: which chain. Unset: the first that is offered."
    )
    client: strawberry.ID | None = strawberry.field(default=None, description="Unset: the first you act for.")


@strawberry.input
class DepositFilter:
    state: list[DepositState] | None = None
    method: list[PaymentMethod] | None = None
    currency: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


CreateDepositResult = Annotated[DepositAnswer | Problem, strawberry.union("CreateDepositResult")]
CancelDepositResult = Annotated[DepositAnswer | Problem, strawberry.union("CancelDepositResult")]


@strawberry.type
class Query:
    @strawberry.field(description="The wallets of every client this person acts for.")
    @problem_as_error
    def wallets(self, info: Info) -> list[Wallet]:
        rows = wallets_of(user_of(info)).order_by("client_id", "currency_id")
        return [Wallet.of(row) for row in rows[: connections.LARGEST_PAGE]]

    @strawberry.field(description="One wallet, or null if there is none of yours in this currency.")
    @problem_as_error
    def wallet(self, info: Info, currency: str, client: strawberry.ID | None = None) -> Wallet | None:
        user = user_of(info)
        owner = client_of(user, client)
        row = wallets_of(user).filter(client_id=owner.uuid, currency=currency).first()
        return Wallet.of(row) if row else None

    @strawberry.field(description="One deposit, or null if there is none of yours with this id.")
    @problem_as_error
    def deposit(self, info: Info, id: strawberry.ID) -> Deposit | None:
        row = _deposits(user_of(info)).filter(uuid=id_of(id)).first()
        return Deposit.of(row) if row else None

    @strawberry.field(description="Your deposits, the newest first, a page at a time.")
    @problem_as_error
    def deposits(
        self,
        info: Info,
        filter: DepositFilter | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> connections.Connection[Deposit]:
        rows = _filtered(_deposits(user_of(info)), filter or DepositFilter())
        return connections.paginate(
            rows, show=Deposit.of, newest_first=True, first=first, after=after, last=last, before=before
        )


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Say that money will come. By bank transfer the answer says where to pay and under which reference, and the "
        "wallet is credited when the money is on our bank's statement; by card or PayPal it says how the client pays (`collect`); "
        "for CRYPTO it has the address to send coins to, which are credited when enough blocks bury them."
    )
    @problem_as_answer
    def create_deposit(self, info: Info, input: CreateDepositInput) -> CreateDepositResult:
        user = user_of(info)
        owner = acting_client(user, input.client)
        limits.take_all(info, ("deposit", str(owner.pk)))
        if input.method in (PaymentMethod.CARD, PaymentMethod.PAYPAL):
            return _by_collector(user, owner, input)
        if input.method not in (PaymentMethod.BANK, PaymentMethod.CRYPTO):
            raise deposits.DepositNotOffered("There are no such deposits here.", field="method")
        by, at, given = By.user(user), timezone.now(), None
        if input.method is PaymentMethod.CRYPTO:
            given = coins.address_for(owner, input.currency, input.network or "", by=by, at=at)
        row = deposits.create(
            owner, method=input.method.value, currency=input.currency, amount=input.amount, by=by,
            at=at, key=input.key, within_limits=True,
        )  # fmt: skip
        return DepositAnswer.of(row, given=given)

    @strawberry.mutation(
        description="Say that nothing will come after all. What comes is credited all the same. Asking again changes nothing."
    )
    @problem_as_answer
    def cancel_deposit(self, info: Info, id: strawberry.ID) -> CancelDepositResult:
        user = user_of(info)
        row = deposits.of_user(user, id_of(id))
        clients.check_role(row)
        return DepositAnswer.of(deposits.cancel(row, by=By.user(user), at=timezone.now()))


def _by_collector(user: User, owner: Client, input: CreateDepositInput) -> DepositAnswer:
    by = By.user(user)
    row = taking.create(
        owner, method=input.method.value, currency=input.currency, amount=input.amount, by=by, at=timezone.now(), key=input.key
    )  # fmt: skip
    collect = taking.begin(row, by=by, now=timezone.now)
    return DepositAnswer.of(deposits.of_user(user, row.uuid), collect=collect)


def wallets_of(user: User) -> AccountQuerySet:
    """The wallets of every client this person acts for."""
    owners = Client.objects.of_user(user).values("uuid")
    return db.Account.objects.filter(
        book=db.Book.REAL, purpose="wallet", owner_type="client", client_id__in=owners
    )


def _deposits(user: User) -> DepositQuerySet:
    return db.Deposit.objects.of_user(user).select_related("client").prefetch_related("claw_backs")


def _filtered(rows: DepositQuerySet, given: DepositFilter) -> DepositQuerySet:
    if given.state is not None:
        rows = rows.filter(state__in=[state.value for state in given.state])
    if given.method is not None:
        rows = rows.filter(method__in=[method.value for method in given.method])
    if given.currency is not None:
        rows = rows.filter(currency=given.currency)
    if given.created_from is not None:
        rows = rows.filter(created_at__gte=given.created_from)
    if given.created_before is not None:
        rows = rows.filter(created_at__lt=given.created_before)
    return rows
