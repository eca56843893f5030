"""The console for tests: a browser without JavaScript, somebody of each role, and one row of everything."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

import fixtures
from backoffice import mail
from backoffice.console import entering
from backoffice.models import Access, Currency, Event, Session, User
from backoffice.staff import console_sessions, elevation
from brokerage import differences, gate, limits, trades
from brokerage.models import Difference, Funding, Instrument, MarkupReport
from compliance import decisions
from compliance import limits as compliance_limits
from compliance.models import Desk, Limit, MonitoringRule
from jobs.models import FailedJob, Schedule
from ledger.control import assertions, closing, invariants
from ledger.models import Account, Entry, Hold
from tests import world
from tests.compliance import notes

ROLES = [role["name"] for role in fixtures.read("roles")["roles"]]
REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)


def browser(user: User | None, *, elevated: bool = False, **given: Any) -> Browser:
    """A browser in which this person is logged in, by whatever means; with the most sensitive actions open, if wanted."""
    found, now = Browser(**given), timezone.now()
    if user is not None:
        found.force_login(user)
        if user.is_staff:
            session = console_sessions.start(user, second_factor=False, at=now)
            if elevated:
                elevation.begin(session, proof=world.PASSWORD, reason="For a test.", at=now)
            kept = found.session
            kept[entering.SESSION] = str(session.uuid)
            kept.save()
    return found


def of_role(role: str, *, elevated: bool = False) -> Browser:
    return browser(world.staff(role), elevated=elevated)


def superuser() -> User:
    return world.staff(is_superuser=True)


def name(model: type[Model], page: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


def page(row: Model, kind: str = "change") -> str:
    return reverse(name(type(row), kind), args=[row.pk])


def everything() -> dict[type[Model], Model]:
    """One row of every registered model, made through verbs where there is one."""
    from django.contrib.auth.models import Group

    opening = world.client()
    account = world.account(opening)
    trade = trades.settle(world.opened(world.placed(account)), world.outcome(), by=world.TESTER, at=world.NOW)
    now = timezone.now()
    difference = differences.find(
        account=account,
        kind=Difference.Kind.BALANCE,
        about="balance",
        sentence="They differ.",
        by=world.TESTER,
        at=now,
    )
    limit = limits.change(
        None, None, account.currency, limits.Maxima("500.00", "5000.00", 60), by=world.TESTER, at=now, key="limit", reason="Test."
    )  # fmt: skip
    grant = world.granted(opening).grant
    report = MarkupReport.objects.create(
        month=date(2026, 10, 1), generation="v3", currency=account.currency, ours="10.00", ours_count=3,
        venues="12.00", venues_count=4, state="different", compared_at=now,
    )  # fmt: skip
    funding = Funding.objects.create(
        client=account.client, account=account, wallet=account.cash, direction="from_venue", amount="5.00",
        currency=account.currency, state="pending", key="funding", requested_at=now, changed_at=now,
    )  # fmt: skip
    decision = decisions.decide(
        decisions.Asked("withdrawal", account.client, "USD", Decimal("5.00"), ("test", opening.client.uuid)), by=world.TESTER, at=now
    )  # fmt: skip
    own_limit = compliance_limits.override(
        account.client, "withdrawal", account.currency, 24, "50.00", expires_at=now + timedelta(days=1), by=world.TESTER, at=now,
        key="own-limit", reason="Test.",
    )  # fmt: skip
    from tests.ledger import arrivals, paying, payments, transferring

    house = Account.objects.of_house().filter(book="demo_mirror").select_related("currency").first()
    assert house is not None
    paid = paying.everything(opening.client)
    rows: list[Model] = [
        closing.close("real", date(2026, 10, 31), by=world.TESTER, at=now, key="closing"),
        assertions.enter(house, on=date(2026, 10, 31), amount="1.00", by=world.TESTER, at=now, key="assertion"),
        invariants.run("books_balance", by=world.TESTER, at=now),
        funding,
        report, grant, world.request(opening),
        limit, difference, gate.change(world.account(), "halted", by=world.TESTER, at=now, key="gate", reason="Test."),
        opening.user, opening.client, account, trade, trade.instrument, account.cash,
        Entry.objects.order_by("id").first(), Hold.objects.first(),
        Event.objects.filter(client_id=opening.client.uuid).latest("id"), Currency.objects.get(code="USD"),
        mail.queue("already_a_client", to=opening.user, at=now),
        *payments.everything(opening.client),
        Group.objects.first(), Desk.objects.create(name="Desk of tests"),
        Session.objects.create(user=opening.user, started_at=now, refreshed_at=now),
        Access.objects.create(at=now, by_user=superuser(), client_id=opening.client.uuid, what="record", subject="compliance.client",
                              subject_pk=str(opening.client.pk)),
        Schedule.objects.create(name="a.job", actor="a.job", every=60, next_run_at=now),
        FailedJob.objects.create(queue="a", actor="a.job", message_id="m", error="Boom", failed_at=now),
        *paid,
        notes.policy(), notes.asked(client=account.client, at=now), decision, own_limit, Limit.objects.first(), MonitoringRule.objects.first(),
        *arrivals.everything(opening.client),
        *transferring.everything(opening.client, at=now),
        *payments.taken_back(opening.client),
        # Of all that the above recorded the newest: what stands on the first page of the log.
        Event.objects.filter(client_id=opening.client.uuid).latest("id"),
    ]  # fmt: skip
    return {type(row): row for row in rows}


# What a page may write without anything having moved: who looked, until when somebody is logged in, and Django's own.
PASSING = {"backoffice.Access", "backoffice.Session", "backoffice.RequestKey"}


def fingerprint() -> dict[str, str]:
    """Every row of every table of ours that holds business, condensed: equal only if nothing was changed at all."""
    from django.db import connection

    from tests import architecture as house

    tables = {
        model._meta.label: model._meta.db_table
        for model in house.our_models()
        if model._meta.label not in PASSING
    }
    tables |= {"roles": "auth_group_permissions", "people's roles": "backoffice_user_groups"}
    asked = " UNION ALL ".join(
        f"SELECT '{label.replace(chr(39), '')}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
        for label, table in tables.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(asked)
        return dict(cursor.fetchall())


__all__ = ["REGISTERED", "ROLES", "Account", "Instrument", "browser", "everything", "name", "of_role", "page"]
