"""Money out of the caller's wallets: to whom it may go, and each withdrawal with what became of it."""

from datetime import datetime
from typing import Annotated

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.models import User
from backoffice.who import By
from brokerage import accounts
from graphql_api import connections, limits
from graphql_api.brokerage import id_of
from graphql_api.types import Money, Problem
from graphql_api.viewer import client_of, problem_as_answer, problem_as_error, user_of
from ledger import beneficiaries, withdrawals
from ledger import models as db
from ledger.models import Method, WithdrawalQuerySet

WithdrawalState = db.Withdrawal.State
strawberry.enum(
    WithdrawalState,
    name="WithdrawalState",
    description="Where it is. RETURNED, FAILED, REJECTED and CANCELLED are final; PAID is, unless the bank sends it back.",
)


@strawberry.type(description="A bank account or crypto address of yours that money may be paid to.")
class Beneficiary:
    id: strawberry.ID
    method: str
    currency: str
    holder: str
    hint: str = strawberry.field(description="The ends of its number; the whole is never shown again.")
    bank: str | None
    network: str | None
    usable_at: datetime = strawberry.field(description="Nothing is paid to it before.")
    added_at: datetime

    @staticmethod
    def of(row: db.Beneficiary) -> "Beneficiary":
        return Beneficiary(
            id=strawberry.ID(str(row.uuid)), method=row.method, currency=row.currency_id, holder=row.holder, hint=row.hint,
            bank=row.bank_name or None, network=row.network or None, usable_at=row.usable_at, added_at=row.added_at,
        )  # fmt: skip


@strawberry.type(description="Money on its way from your wallet to a beneficiary.")
class Withdrawal:
    id: strawberry.ID
    reference: str
    beneficiary: Beneficiary
    amount: Money = strawberry.field(description="What leaves the wallet.")
    fee: Money = strawberry.field(description="Of it, what we take; the beneficiary gets the rest.")
    state: WithdrawalState
    is_final: bool
    told: str | None = strawberry.field(description="Why it is where it is, where there is something to say.")
    requested_at: datetime
    paid_at: datetime | None

    @staticmethod
    def of(row: db.Withdrawal) -> "Withdrawal":
        return Withdrawal(
            id=strawberry.ID(str(row.uuid)), reference=row.reference, beneficiary=Beneficiary.of(row.beneficiary),
            amount=Money.of(row.amount, row.currency_id), fee=Money.of(row.fee, row.currency_id),
            state=WithdrawalState(row.state), is_final=row.is_final, told=row.told or None, requested_at=row.requested_at,
            paid_at=row.paid_at,
        )  # fmt: skip


@strawberry.type
class BeneficiaryAnswer:
    beneficiary: Beneficiary


@strawberry.type
class WithdrawalAnswer:
    withdrawal: Withdrawal


@strawberry.input
class BeneficiaryInput:
    method: str = strawberry.field(description="bank or crypto.", default="bank")
    currency: str
    holder: str = strawberry.field(description="Whose account it is, as the bank knows them.")
    number: str = strawberry.field(description="The IBAN, or the address.")
    bic: str | None = None
    network: str | None = strawberry.field(description="Of an address, where its currency has several.", default=None)
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same beneficiary.")


@strawberry.input
class WithdrawalInput:
    beneficiary: strawberry.ID
    amount: str = strawberry.field(description="In the beneficiary's currency, as text; what leaves the wallet.")
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same withdrawal.")


AddBeneficiaryResult = Annotated[BeneficiaryAnswer | Problem, strawberry.union("AddBeneficiaryResult")]
RequestWithdrawalResult = Annotated[WithdrawalAnswer | Problem, strawberry.union("RequestWithdrawalResult")]
CancelWithdrawalResult = Annotated[WithdrawalAnswer | Problem, strawberry.union("CancelWithdrawalResult")]
