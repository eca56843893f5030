"""What payments are set up with: our own accounts at banks, and fees."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel, RateField
from backoffice.models import Currency, HistoricalModel


class Method(models.TextChoices):
    """How money comes from a client, or goes to one."""

    BANK = "bank", "Bank transfer"
    CARD = "card", "Card"
    CRYPTO = "crypto", "Crypto"
    PAYPAL = "paypal", "PayPal"


def _nothing() -> dict[str, Any]:
    return {}


class BankAccount(PublicIdModel, HistoricalModel):
    """An account of ours at a bank. Its balance in our books is the ledger account of purpose “bank” that it owns.

    `csv_columns` says how the bank heads the columns of its CSV statements, where our defaults do not fit:
    `{"booked_on": "Buchungstag", "amount": "Betrag", …}` (see `ledger.bank.csv_lines`).
    """

    name = models.CharField(max_length=64, unique=True, help_text="What staff call it.")
    holder = models.CharField(max_length=140, help_text="Whom clients pay: the name the bank knows.")
    bank_name = models.CharField("bank", max_length=140, blank=True)
    iban = models.CharField("IBAN", max_length=34, blank=True, help_text="Without spaces.")
    number = models.CharField(
        "account number", max_length=34, blank=True, help_text="Where the country has no IBAN."
    )
    bic = models.CharField("BIC", max_length=11, blank=True)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    csv_columns = models.JSONField("CSV columns", default=_nothing, blank=True)
    takes_deposits = models.BooleanField(
        "clients pay here", default=False, help_text="One account of a currency is the one clients are told."
    )
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(iban="", number=""), name="bank_account_has_number"),
            models.CheckConstraint(
                condition=Q(iban="") | Q(iban__regex=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}$"),
                name="bank_account_iban_shape",
            ),
            models.UniqueConstraint(
                fields=["iban", "currency"], condition=~Q(iban=""), name="bank_account_iban_once"
            ),
            models.UniqueConstraint(
                fields=["number", "bic", "currency"], condition=Q(iban=""), name="bank_account_number_once"
            ),
            models.UniqueConstraint(
                fields=["currency"],
                condition=Q(takes_deposits=True, is_active=True),
                name="bank_account_for_deposits_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Fee(PublicIdModel, HistoricalModel):
    """What we take of a payment, by direction, method and currency: a fixed part and a rate, within bounds."""

    class Direction(models.TextChoices):
        IN = "in", "Money in"
        OUT = "out", "Money out"

    direction = models.CharField(max_length=3, choices=Direction)
    method = models.CharField(max_length=8, choices=Method)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    fixed = AmountField(default=Decimal(0), help_text="Of every payment, whatever its amount.")
    rate = RateField(default=Decimal(0), help_text="Of the amount; 0.01 is 1 %.")
    least = AmountField("at least", default=Decimal(0))
    most = AmountField("at most", null=True, blank=True, help_text="Empty: no bound.")
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["direction", "method", "currency"], condition=Q(is_active=True), name="fee_once"
            ),
            models.CheckConstraint(
                condition=Q(fixed__gte=0, rate__gte=0, rate__lt=1, least__gte=0), name="fee_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(most__isnull=True) | Q(most__gte=models.F("least")), name="fee_bounds_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_method_display()}, {self.get_direction_display().lower()}, {self.currency_id}"


class MatchingRule(PublicIdModel, HistoricalModel):
    """How far a bank line may be from the deposit it is taken for. The most specific rule in use applies.

    Of one bank account, else of its currency, else of all; without any row `ledger.bank.matching.USUAL` applies.
    """

    bank_account = models.ForeignKey(
        BankAccount,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty: any.",
    )
    currency = models.ForeignKey(
        Currency, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: any."
    )
    tolerance = AmountField(
        default=Decimal(0),
        help_text="How much more or less than asked may arrive under a deposit's reference.",
    )
    tolerance_rate = RateField(
        default=Decimal("0.02"),
        help_text="The same as a share of what was asked; the greater of the two counts.",
    )
    late_days = models.PositiveSmallIntegerField(
        default=90,
        help_text="For how many days after its end a deposit that was cancelled or ran out is still credited.",
    )
    others_may_pay = models.BooleanField(
        default=True, help_text="Off: what is paid under a name unlike the client's goes to suspense."
    )
    matches_by_name = models.BooleanField(
        default=False,
        help_text="On: a line without a reference is credited if amount and name, to the word, fit one open deposit alone.",
    )
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bank_account", "currency"],
                condition=Q(is_active=True),
                nulls_distinct=False,
                name="matching_rule_once",
            ),
            models.CheckConstraint(
                condition=Q(bank_account__isnull=True) | Q(currency__isnull=True),
                name="matching_rule_of_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(tolerance__gte=0, tolerance_rate__gte=0, tolerance_rate__lt=1),
                name="matching_rule_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return str(self.bank_account or self.currency or "All bank accounts")
