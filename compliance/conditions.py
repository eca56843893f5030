"""The conditions of monitoring rules: each says, of one activity, whether it came true and how staff read that."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from django.db.models import Case as SqlCase
from django.db.models import Exists, F, OuterRef, Subquery, When
from django.db.models.functions import Coalesce

from compliance.models import Activity, Client, MonitoringRule, Movement, Window
from compliance.moved import Moved

C = MonitoringRule.Condition
IN_AND_OUT: Final = (Movement.DEPOSIT, Movement.WITHDRAWAL)


@dataclass(frozen=True, slots=True)
class Facts:
    """What whoever asks knows of an activity and compliance cannot. What does not apply is left out."""

    beneficiary_added_at: datetime | None = None
    is_crypto: bool = False
    owes: bool = False


@dataclass(frozen=True)
class Case:
    """One activity under judgement, with its client as they are now and what else is known.

    `is_past`: it is judged as if `at` were now, and what was done later is not known.
    """

    activity: Activity
    client: Client
    facts: Facts
    at: datetime
    is_past: bool = False

    @cached_property
    def level_since(self) -> datetime:
        """Since when the client has their KYC level: by their history, or since they are one where it never changed."""
        return level_since(self.client)

    @cached_property
    def moved(self) -> Moved:
        """What the client moved lately, this activity left out."""
        return Moved(self.client, at=self.at, without=self.activity, only_before=self.is_past)

    @property
    def turnover(self) -> Decimal:
        """What the client moved in and out within 30 days in this currency, this activity included."""
        currency, this = self.activity.currency_id, self.activity.amount
        return sum((self.moved.amount(kind, currency, Window.MONTH) for kind in IN_AND_OUT), this)

    @property
    def count_of_a_day(self) -> int:
        """How often the client did this kind of thing within 24 hours, this included."""
        return self.moved.times(self.activity.kind, Window.DAY) + 1


def level_since(client: Client) -> datetime:
    """Since when a client has their KYC level; one question."""
    rows = Client.objects.annotate(since=level_since_column("pk")).values_list("since", flat=True)
    found: datetime = rows.get(pk=client.pk)
    return found


def level_since_column(client: str) -> Any:
    """Since when the client of a row has their KYC level: by their history, or since they are one where it never changed.

    Where their history does not know of it (somebody set it behind its back), since it was last known to be another.

    `client` is how the row names the client (`client`; of a client's own row `pk`).
    """
    field = "" if client == "pk" else f"{client}__"
    rows = Client.history.filter(id=OuterRef(client)).order_by()
    changed = rows.exclude(kyc_level=OuterRef(f"{field}kyc_level"))
    other = Client.history.filter(id=OuterRef("id")).exclude(
        kyc_level=OuterRef(OuterRef(f"{field}kyc_level"))
    )
    since = (
        rows.alias(last_other=Coalesce(Subquery(other.order_by("-history_id").values("history_id")[:1]), 0))
        .filter(history_id__gt=F("last_other"))
        .order_by("history_id")
    )
    known = Coalesce(
        Subquery(since.values("history_date")[:1]),
        Subquery(changed.order_by("-history_id").values("history_date")[:1]),
    )
    return SqlCase(When(Exists(changed), then=known), default=F(f"{field}opened_at"))


def came_true(rule: MonitoringRule, case: Case) -> str:
    """How staff read that a rule came true of an activity; empty if it did not."""
    if rule.kind not in ("", case.activity.kind) or rule.currency_id not in (None, case.activity.currency_id):
        return ""
    return _CONDITIONS[C(rule.condition)](rule.threshold, case)


def number(value: Decimal) -> str:
    """A number with thousands separators, and without zeros that say nothing."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _level_below(level: Decimal, case: Case) -> str:
    is_below = case.client.kyc_level < level
    return f"KYC level {case.client.kyc_level}, below {number(level)}" if is_below else ""


def _level_age(hours: Decimal, case: Case) -> str:
    return _younger("KYC level", case.level_since, hours, case)


def _account_age(hours: Decimal, case: Case) -> str:
    return _younger("Client", case.client.opened_at, hours, case)


def _beneficiary_age(hours: Decimal, case: Case) -> str:
    return _younger("Beneficiary", case.facts.beneficiary_added_at, hours, case)


def _younger(what: str, since: datetime | None, hours: Decimal, case: Case) -> str:
    if since is None or case.at - since >= timedelta(hours=int(hours)):
        return ""
    age = max(int((case.at - since).total_seconds() // 3600), 0)
    return f"{what} {age // 24} days old" if age >= 48 else f"{what} {age} hours old"


def _amount(least: Decimal, case: Case) -> str:
    return f"{_money(case)}, {number(least)} or more" if case.activity.amount >= least else ""


def _turnover(least: Decimal, case: Case) -> str:
    code, moved = case.activity.currency_id, case.turnover
    return f"{number(moved)} {code} in and out within 30 days" if moved >= least else ""


def _often(times: Decimal, case: Case) -> str:
    return f"{case.count_of_a_day} times within 24 hours" if case.count_of_a_day >= times else ""


def _crypto(least: Decimal, case: Case) -> str:
    return f"Crypto, {_money(case)}" if case.facts.is_crypto and case.activity.amount >= least else ""


def _high_risk(least: Decimal, case: Case) -> str:
    is_high = case.client.risk_rating == Client.Risk.HIGH and case.activity.amount >= least
    return f"Client of high risk, {_money(case)}" if is_high else ""


def _debt(least: Decimal, case: Case) -> str:
    return (
        f"Client owes us money, {_money(case)}" if case.facts.owes and case.activity.amount >= least else ""
    )


def _not_active(least: Decimal, case: Case) -> str:
    is_wrong = case.client.status != Client.Status.ACTIVE and case.activity.amount >= least
    return f"Client is {case.client.get_status_display().lower()}" if is_wrong else ""


def _money(case: Case) -> str:
    return f"{number(case.activity.amount)} {case.activity.currency_id}"


_CONDITIONS: Final[dict[MonitoringRule.Condition, Callable[[Decimal, Case], str]]] = {
    C.LEVEL_BELOW: _level_below,
    C.LEVEL_AGE: _level_age,
    C.ACCOUNT_AGE: _account_age,
    C.BENEFICIARY_AGE: _beneficiary_age,
    C.AMOUNT: _amount,
    C.TURNOVER: _turnover,
    C.OFTEN: _often,
    C.CRYPTO: _crypto,
    C.HIGH_RISK: _high_risk,
    C.DEBT: _debt,
    C.NOT_ACTIVE: _not_active,
}
