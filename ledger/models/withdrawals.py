"""Withdrawals: to whom a client's money may go, what is offered, and each request with what became of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.db import models
from django.db.models import F, Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, HistoricalModel, User
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField
from compliance.models import Approval, Client, Decision, acted_for, desks_of
from ledger.models.books import Account, Hold
from ledger.models.deposits import Deposit
from ledger.models.payments_setup import BankAccount, Method


class WithdrawalRoute(PublicIdModel, HistoricalModel):
    """What withdrawals are offered in a currency, and which provider pays them from which account of ours."""

    method = models.CharField(max_length=8, choices=Method)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    provider = models.CharField(max_length=32, help_text="Who pays: the name of a registered provider.")
    bank_account = models.ForeignKey(
        BankAccount, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="From which account of ours; for bank transfers.",
    )  # fmt: skip
    pain_version = models.CharField(
        "file format", max_length=8, choices=[("001.03", "pain.001.001.03"), ("001.09", "pain.001.001.09")],
        default="001.09", help_text="What the bank takes; for providers that pay by file.",
    )  # fmt: skip
    least = AmountField("at least", default=0, help_text="What is worth paying out.")
    cool_off_hours = models.PositiveIntegerField(
        "cool-off (hours)",
        default=24,
        help_text="For so long nothing is paid to a beneficiary that was added.",
    )
    is_active = models.BooleanField("offered", default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["method", "currency"], condition=Q(is_active=True), name="withdrawal_route_once"
            ),
            models.CheckConstraint(condition=Q(least__gte=0), name="withdrawal_route_least"),
            models.CheckConstraint(
                condition=Q(method="bank", bank_account__isnull=False) | ~Q(method="bank"),
                name="withdrawal_route_bank_pays_from",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_method_display()} in {self.currency_id} by {self.provider}"


class BeneficiaryQuerySet(models.QuerySet["Beneficiary"]):
    """Reads of beneficiaries."""

    def of_user(self, user: User) -> "BeneficiaryQuerySet":
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "BeneficiaryQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def active(self) -> "BeneficiaryQuerySet":
        return self.filter(removed_at__isnull=True)


class Beneficiary(PublicIdModel):
    """A bank account or crypto address of the client's that we may pay to, or the way a deposit of theirs came. Never changed:
    another one is added.

    The number is kept encrypted; `hint` is what is shown of it, `fingerprint` how the same number is found again.
    """

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="beneficiaries")
    method = models.CharField(
        max_length=8,
        choices=[
            (Method.BANK, "Bank account"),
            (Method.CRYPTO, "Crypto address"),
            (Method.CARD, "Card"),
            (Method.PAYPAL, "PayPal"),
        ],
    )
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    holder = models.CharField(max_length=70, help_text="Whose account it is; as the bank knows them.")
    deposit = models.ForeignKey(
        Deposit, null=True, blank=True, on_delete=models.PROTECT, related_name="ways_back",
        help_text="The one whose card or account is paid; never more than came by it.",
    )  # fmt: skip
    number = EncryptedField("IBAN or address", help_text="Or the reference of the deposit it came by.")
    hint = models.CharField(max_length=24)
    fingerprint = models.CharField(max_length=64)
    bic = models.CharField("BIC", max_length=11, blank=True)
    bank_name = models.CharField("bank", max_length=140, blank=True)
    country = models.CharField(max_length=2, blank=True)
    network = models.CharField(max_length=16, blank=True)
    usable_at = models.DateTimeField(help_text="Nothing is paid to it before.")
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=64)
    removed_at = models.DateTimeField(null=True, blank=True)
    key = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)

    objects = BeneficiaryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "beneficiaries"
        permissions = [("remove_beneficiary", "Can remove a client's beneficiary")]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="beneficiary_key_once"),
            models.UniqueConstraint(
                fields=["client", "currency", "fingerprint"], condition=Q(removed_at__isnull=True),
                name="beneficiary_number_once",
            ),
            models.CheckConstraint(condition=Q(usable_at__gte=F("added_at")), name="beneficiary_usable_later"),
            models.CheckConstraint(
                condition=Q(method="bank", network="", deposit__isnull=True)
                | Q(method="crypto", bic="", deposit__isnull=True) & ~Q(network="")
                | Q(method__in=["card", "paypal"], network="", bic="", deposit__isnull=False),
                name="beneficiary_bank_or_network",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["client", "-id"], name="beneficiary_by_client"),
            models.Index(fields=["fingerprint"], name="beneficiary_by_number"),
        ]

    @property
    def is_removed(self) -> bool:
        return self.removed_at is not None

    def __str__(self) -> str:
        return f"{self.holder}, {self.hint}"


class WithdrawalQuerySet(models.QuerySet["Withdrawal"]):
    """Reads of withdrawals."""

    def of_user(self, user: User) -> "WithdrawalQuerySet":
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "WithdrawalQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def unfinished(self) -> "WithdrawalQuerySet":
        return self.exclude(state__in=Withdrawal.FINAL)

    def standing(self) -> "WithdrawalQuerySet":
        """Money that has gone to the beneficiary, or may still: all but what is the client's again."""
        return self.exclude(state__in=Withdrawal.FINAL)

    def to_pay(self) -> "WithdrawalQuerySet":
        """Approved, and no payment was made for them yet."""
        return self.filter(state=Withdrawal.State.APPROVED).order_by("id")


class Withdrawal(PublicIdModel):
    """Money a client takes out: held when they ask, out of the wallet when it is sent, and theirs again if it fails.

    The wallet gives `amount`; the beneficiary gets `amount` less `fee`.
    """

    class State(models.TextChoices):
        BLOCKED = "blocked", "Blocked"
        WAITING = "waiting", "Waits for approval"
        APPROVED = "approved", "Approved"
        PAYING = "paying", "Being paid"
        PAID = "paid", "Paid"
        RETURNED = "returned", "Returned"
        FAILED = "failed", "Failed"
        REJECTED = "rejected", "Rejected"
        CANCELLED = "cancelled", "Cancelled"

    MOVES: Final = {
        State.BLOCKED: {State.WAITING, State.REJECTED, State.CANCELLED},
        State.WAITING: {State.APPROVED, State.REJECTED, State.CANCELLED},
        State.APPROVED: {State.PAYING, State.FAILED, State.CANCELLED},
        State.PAYING: {State.PAID, State.FAILED},
        State.PAID: {State.RETURNED},
        State.RETURNED: set(),
        State.FAILED: set(),
        State.REJECTED: set(),
        State.CANCELLED: set(),
    }
    # It comes into the world in one of these.
    BORN: Final = (State.BLOCKED, State.WAITING)
    FINAL: Final = frozenset({State.RETURNED, State.FAILED, State.REJECTED, State.CANCELLED})
    # A bank may send money back long after it took it.
    RESTING: Final = frozenset({State.PAID})
    HOLDING: Final = (State.BLOCKED, State.WAITING, State.APPROVED)
    PATIENCE: Final = {
        State.BLOCKED: Patience(timedelta(days=2), "changed_at", "Compliance"),
        State.WAITING: Patience(timedelta(hours=4), "changed_at", "Whoever may approve it"),
        State.APPROVED: Patience(timedelta(minutes=10), "changed_at", "A worker"),
        State.PAYING: Patience(timedelta(days=3), "changed_at", "Payments desk"),
    }

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="withdrawals")
    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    beneficiary = models.ForeignKey(Beneficiary, on_delete=models.PROTECT, related_name="withdrawals")
    method = models.CharField(max_length=8, choices=Method)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    amount = AmountField()
    fee = AmountField(default=0)
    reference = models.CharField(
        max_length=16, unique=True, help_text="What it is called towards the client."
    )
    state = models.CharField(max_length=9, choices=State)
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, related_name="+")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="+")
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    told = models.CharField(
        "what the client is told",
        max_length=300,
        blank=True,
        help_text="Why it is where it is; nothing of suspicions.",
    )
    problem_code = models.CharField(max_length=64, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)
    requested_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = WithdrawalQuerySet.as_manager()

    class Meta:
        permissions = [
            ("approve_withdrawal", "Can approve and reject withdrawals"),
            ("cancel_withdrawal", "Can cancel a client's withdrawal"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="withdrawal_key_once"),
            models.CheckConstraint(
                condition=Q(amount__gt=0, fee__gte=0, fee__lt=F("amount")), name="withdrawal_amount_above_fee"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["paid", "returned"], paid_at__isnull=False)
                | ~Q(state__in=["paid", "returned"]) & Q(paid_at__isnull=True),
                name="withdrawal_paid_at",
            ),
        ]
        indexes = [
            models.Index(
                fields=["changed_at"],
                condition=~Q(state__in=["paid", "returned", "failed", "rejected", "cancelled"]),
                name="withdrawal_unfinished",
            ),
            models.Index(fields=["client", "-id"], name="withdrawal_by_client"),
            models.Index(fields=["beneficiary"], name="withdrawal_by_beneficiary"),
        ]

    @property
    def net(self) -> Decimal:
        """What the beneficiary gets: the amount less the fee."""
        net: Decimal = self.amount - self.fee
        return net

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        State = self.State
        match self.state:
            case State.BLOCKED:
                return f"Stopped by compliance: {self.problem or 'see its decision'} The money stays held until somebody decides."
            case State.WAITING:
                return "The money is held; it is paid when whoever must agree has agreed."
            case State.APPROVED:
                return self.problem or "Agreed to; a worker makes the payment within moments."
            case State.PAYING:
                return "Out of the wallet and with the provider; its word ends it."
            case State.PAID:
                return "The provider says that it was paid."
            case State.RETURNED:
                return f"It came back: {self.problem or 'the bank gave no reason'}. The money is in the wallet again."
            case State.FAILED:
                return f"It could not be paid: {self.problem or self.problem_code}. The money is in the wallet again."
            case State.REJECTED:
                return f"Rejected: {self.problem}. The money is free again."
            case _:
                return "Called off before it was sent; the money is free again."

    @property
    def why_for_client(self) -> str:
        """The same for the client: nothing of suspicions, nor of who among staff did what."""
        State = self.State
        if self.told:
            return self.told
        match self.state:
            case State.BLOCKED | State.WAITING:
                return "We are looking at it. Your money is held until then; you can still call it off."
            case State.APPROVED:
                return "It is being paid shortly; until then you can call it off."
            case State.PAYING:
                return "It is on its way."
            case State.PAID:
                return "It was paid."
            case State.CANCELLED:
                return "It was called off before it was sent. Your money is available again."
            case _:
                return "It was not paid. Your money is available again."

    def __str__(self) -> str:
        return f"Withdrawal {self.reference}"
