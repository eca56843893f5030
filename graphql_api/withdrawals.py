"""Money out of the caller's wallets: to whom it may go, and each withdrawal with what became of it."""

from datetime import datetime
from typing import Annotated

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.models import User
from backoffice.who import By
from compliance import clients
from compliance.models import Client
from graphql_api import connections, limits
from graphql_api.brokerage import id_of
from graphql_api.clients import acting_client
from graphql_api.payments import PaymentMethod, Wallet
from graphql_api.types import Money, Problem
from graphql_api.viewer import problem_as_answer, problem_as_error, user_of
from ledger import beneficiaries, withdrawals
from ledger import models as db
from ledger.models.withdrawals import WithdrawalQuerySet

WithdrawalState = db.Withdrawal.State
strawberry.enum(
    WithdrawalState,
    name="WithdrawalState",
    description="Where it is. RETURNED, FAILED, REJECTED and CANCELLED are final; PAID is, unless the bank sends it back.",
)


@strawberry.type(
    description="A bank account or crypto address of yours that money may be paid to, or the way a deposit of yours came."
)
class Beneficiary:
    id: strawberry.ID
    client_id: strawberry.ID
    method: PaymentMethod
    currency: str
    holder: str
    hint: str = strawberry.field(description="The ends of its number; the whole is never shown again.")
    bank: str | None
    network: str | None
    usable_at: datetime = strawberry.field(description="Nothing is paid to it before.")
    added_at: datetime
    is_removed: bool

    @staticmethod
    def of(row: db.Beneficiary, client: Client | None = None) -> "Beneficiary":
        return Beneficiary(
            id=strawberry.ID(str(row.uuid)),
            client_id=strawberry.ID(str((client or row.client).uuid)),
            method=PaymentMethod(row.method),
            currency=row.currency_id,
            holder=row.holder,
            hint=row.hint,
            bank=row.bank_name or None,
            network=row.network or None,
            usable_at=row.usable_at,
            added_at=row.added_at,
            is_removed=row.is_removed,
        )


@strawberry.type(description="Money on its way from your wallet to a beneficiary.")
class Withdrawal:
    id: strawberry.ID
    client_id: strawberry.ID
    reference: str
    beneficiary: Beneficiary
    amount: Money = strawberry.field(description="What leaves the wallet.")
    fee: Money = strawberry.field(description="What of it we take; the beneficiary gets the rest.")
    state: WithdrawalState
    is_final: bool
    why: str = strawberry.field(description="One sentence: why it is where it is, and what comes next.")
    requested_at: datetime
    paid_at: datetime | None

    @staticmethod
    def of(row: db.Withdrawal) -> "Withdrawal":
        return Withdrawal(
            id=strawberry.ID(str(row.uuid)),
            client_id=strawberry.ID(str(row.client.uuid)),
            reference=row.reference,
            beneficiary=Beneficiary.of(row.beneficiary, row.client),
            amount=Money.of(row.amount, row.currency_id),
            fee=Money.of(row.fee, row.currency_id),
            state=WithdrawalState(row.state),
            is_final=row.is_final,
            why=row.why_for_client,
            requested_at=row.requested_at,
            paid_at=row.paid_at,
        )


@strawberry.type
class BeneficiaryAnswer:
    beneficiary: Beneficiary


@strawberry.type
class WithdrawalAnswer:
    withdrawal: Withdrawal
    wallet: Wallet = strawberry.field(description="The wallet, with its balances after this.")

    @staticmethod
    def of(row: db.Withdrawal) -> "WithdrawalAnswer":
        return WithdrawalAnswer(withdrawal=Withdrawal.of(row), wallet=Wallet.of(row.wallet))


@strawberry.input
class BeneficiaryInput:
    currency: str
    holder: str = strawberry.field(description="Whose account it is, as the bank knows them.")
    number: str = strawberry.field(
        description="The IBAN or the address; for a card or PayPal the reference of a deposit of yours that came by it. Money then goes "
        "back to whatever paid that deposit, never more than came."
    )
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same beneficiary.")
    method: PaymentMethod = PaymentMethod.BANK
    bic: str = strawberry.field(default="", description="Where the IBAN's country does not tell the bank.")
    network: str = strawberry.field(default="", description="Of an address, where its currency has several.")
    client: strawberry.ID | None = strawberry.field(default=None, description="Unset: the first you act for.")


@strawberry.input
class WithdrawalInput:
    beneficiary: strawberry.ID
    amount: str = strawberry.field(
        description="In the beneficiary's currency, as text; what leaves the wallet."
    )
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same withdrawal.")


@strawberry.input
class WithdrawalFilter:
    state: list[WithdrawalState] | None = None
    currency: str | None = None
    requested_from: datetime | None = None
    requested_before: datetime | None = None


AddBeneficiaryResult = Annotated[BeneficiaryAnswer | Problem, strawberry.union("AddBeneficiaryResult")]
RemoveBeneficiaryResult = Annotated[BeneficiaryAnswer | Problem, strawberry.union("RemoveBeneficiaryResult")]
RequestWithdrawalResult = Annotated[WithdrawalAnswer | Problem, strawberry.union("RequestWithdrawalResult")]
CancelWithdrawalResult = Annotated[WithdrawalAnswer | Problem, strawberry.union("CancelWithdrawalResult")]


@strawberry.type
class Query:
    @strawberry.field(
        description="To whom your money may be paid, the newest first, a page at a time; without those you removed."
    )
    @problem_as_error
    def beneficiaries(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> connections.Connection[Beneficiary]:
        rows = db.Beneficiary.objects.of_user(user_of(info)).active().select_related("client")
        return connections.paginate(
            rows, show=Beneficiary.of, newest_first=True, first=first, after=after, last=None, before=None
        )

    @strawberry.field(description="One withdrawal, or null if there is none of yours with this id.")
    @problem_as_error
    def withdrawal(self, info: Info, id: strawberry.ID) -> Withdrawal | None:
        row = _withdrawals(user_of(info)).filter(uuid=id_of(id)).first()
        return Withdrawal.of(row) if row else None

    @strawberry.field(description="Your withdrawals, the newest first, a page at a time.")
    @problem_as_error
    def withdrawals(
        self,
        info: Info,
        filter: WithdrawalFilter | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> connections.Connection[Withdrawal]:
        rows = _filtered(_withdrawals(user_of(info)), filter or WithdrawalFilter())
        return connections.paginate(
            rows, show=Withdrawal.of, newest_first=True, first=first, after=after, last=None, before=None
        )


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Save a bank account or address that your money may be paid to. It is checked now, never changed "
        "later, and can be paid to when its cool-off is over. For owners."
    )
    @problem_as_answer
    def add_beneficiary(self, info: Info, input: BeneficiaryInput) -> AddBeneficiaryResult:
        user = user_of(info)
        owner = acting_client(user, input.client, owned=True)
        limits.take_all(info, ("beneficiary", str(owner.pk)))
        row = beneficiaries.add(
            owner, method=input.method.value, currency=input.currency, holder=input.holder, number=input.number,
            bic=input.bic, network=input.network, by=By.user(user), at=timezone.now(), key=input.key,
        )  # fmt: skip
        return BeneficiaryAnswer(beneficiary=Beneficiary.of(row))

    @strawberry.mutation(
        description="Have nothing more paid to a beneficiary. What was asked for before goes on; cancel it if it should not."
    )
    @problem_as_answer
    def remove_beneficiary(self, info: Info, id: strawberry.ID) -> RemoveBeneficiaryResult:
        user = user_of(info)
        row = beneficiaries.of_user(user, id_of(id), field="id")
        clients.check_role(row, owned=True)
        return BeneficiaryAnswer(
            beneficiary=Beneficiary.of(beneficiaries.remove(row, by=By.user(user), at=timezone.now()))
        )

    @strawberry.mutation(
        description="Ask for money to be paid to a beneficiary. It is held at once, so that nothing else can use it; it "
        "leaves the wallet when it is sent. One that is stopped says why; nothing of it is lost. For owners."
    )
    @problem_as_answer
    def request_withdrawal(self, info: Info, input: WithdrawalInput) -> RequestWithdrawalResult:
        user = user_of(info)
        to = beneficiaries.of_user(user, id_of(input.beneficiary))
        clients.check_role(to, owned=True)
        limits.take_all(info, ("withdrawal", str(to.client_id)))
        row = withdrawals.request(to, amount=input.amount, by=By.user(user), at=timezone.now(), key=input.key)
        return WithdrawalAnswer.of(row)

    @strawberry.mutation(
        description="Call a withdrawal off before its money leaves. Asking again changes nothing."
    )
    @problem_as_answer
    def cancel_withdrawal(self, info: Info, id: strawberry.ID) -> CancelWithdrawalResult:
        user = user_of(info)
        row = withdrawals.of_user(user, id_of(id))
        clients.check_role(row)
        return WithdrawalAnswer.of(withdrawals.cancel(row, by=By.user(user), at=timezone.now()))


def _withdrawals(user: User) -> WithdrawalQuerySet:
    return db.Withdrawal.objects.of_user(user).select_related("client", "beneficiary")


def _filtered(rows: WithdrawalQuerySet, given: WithdrawalFilter) -> WithdrawalQuerySet:
    if given.state is not None:
        rows = rows.filter(state__in=[state.value for state in given.state])
    if given.currency is not None:
        rows = rows.filter(currency=given.currency)
    if given.requested_from is not None:
        rows = rows.filter(requested_at__gte=given.requested_from)
    if given.requested_before is not None:
        rows = rows.filter(requested_at__lt=given.requested_before)
    return rows
