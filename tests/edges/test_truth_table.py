"""Who may do what, generated: every page and action of the console and every operation of the API, for everybody.

What is expected comes from data alone: the patterns of `fixtures/roles.json`, and the tables below for the API. Every
denial is followed by a look at all tables: nothing may have moved.
"""

from fnmatch import fnmatchcase
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

import fixtures
from backoffice.admin import role_matrix
from backoffice.admin.accessing import clients_of
from compliance.models import Client, Desk, Membership
from tests import architecture as house
from tests import world
from tests.edges import operations, staff
from tests.edges.api import App
from tests.edges.test_admin_actions import REASON, registered_actions, url_of
from tests.ledger import payments

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
DATA = fixtures.read("roles")
EVERYBODY = ["", *staff.ROLES, "superuser"]
# SPEC: the roles that are ready on first start.
WANTED = {
    "Support", "KYC officer", "Payments operator", "Payments approver", "Credit officer", "Dealing desk",
    "Affiliate manager", "Compliance officer", "Auditor", "Administrator",
}  # fmt: skip
# Pages of no record, with the permission each asks for; "" is open to all staff.
OWN_PAGES = {
    "index": "", "stuck": "", "search": "", "security": "", "password_change": "", "password_change_done": "",
    "role_matrix": "auth.view_group", "ledger_trial_balance": "ledger.view_account",
    "ledger_balance_sheet": "ledger.view_account", "ledger_income": "ledger.view_account", "ledger_client_money": "ledger.view_account",
    "ledger_explain": "ledger.view_entry", "ledger_client_statement": "ledger.view_entry",
    "jobs_at_a_glance": "jobs.view_schedule", "health": "jobs.view_schedule", "brokerage_venue_faults": "brokerage.set_venue_faults",
}  # fmt: skip
# Not pages: a POST that has its own tests, what has no console session behind it, and what Django brings along.
OTHER_ADDRESSES = {
    "login",
    "logout",
    "end_elevation",
    "autocomplete",
    "jsi18n",
    "view_on_site",
    "app_list",
    "ledger_export",  # tests/edges/test_books_console.py
    "ledger_paymentbatch_file",  # tests/edges/test_payments_console.py
    "auth_user_password_change",
}


def may(role, permission):
    """What the data says, without asking the database."""
    if not permission or role == "superuser":
        return True
    patterns = [row["may"] for row in DATA["roles"] if row["name"] == role]
    return any(fnmatchcase(permission, pattern) for row in patterns for pattern in row) and not any(
        fnmatchcase(permission, pattern) for pattern in DATA["never"]
    )


def somebody(role):
    return staff.superuser() if role == "superuser" else world.staff(role)


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_roles_exist_and_hold_what_their_data_says_and_nothing_else():
    assert set(staff.ROLES) == WANTED == set(Group.objects.values_list("name", flat=True))
    every = [
        f"{p.content_type.app_label}.{p.codename}" for p in Permission.objects.select_related("content_type")
    ]
    for role in staff.ROLES:
        held = {
            f"{p.content_type.app_label}.{p.codename}"
            for p in Permission.objects.filter(group__name=role).select_related("content_type")
        }
        assert held == {name for name in every if may(role, name)}, role


def test_the_auditor_sees_all_and_changes_nothing():
    held = Permission.objects.filter(group__name="Auditor").values_list("codename", flat=True)
    assert {name.partition("_")[0] for name in held} == {"view"}
    seen = {model._meta.label_lower for model in admin.site._registry}
    assert {
        f"{m._meta.label_lower}"
        for m in admin.site._registry
        if may("Auditor", f"{m._meta.app_label}.view_{m._meta.model_name}")
    } == seen


def test_no_permission_lets_anybody_delete_and_none_but_a_superuser_holds_all():
    for role in staff.ROLES:
        ours = Permission.objects.filter(group__name=role, codename__startswith="delete_")
        labels = {p.content_type.app_label for p in ours.select_related("content_type")}
        assert not labels & {"backoffice", "compliance", "brokerage", "ledger"}, role


def test_the_matrix_says_of_every_role_what_it_holds():
    rows = {words: cells for _, part in role_matrix.groups() for words, cells in part}
    names = list(Group.objects.order_by("name").values_list("name", flat=True))
    for column, name in enumerate(names):
        shown = {words for words, cells in rows.items() if cells[column]}
        assert shown == {
            role_matrix.in_words(right)
            for right in role_matrix.held(Group.objects.get(name=name))
            if role_matrix.has_effect(right)
        }, name
    page = staff.of_role("Auditor").get(reverse("admin:role_matrix")).content.decode()
    assert "Sell a client&#x27;s open trade early" in page and "Who may do what" in page


# ── the console ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_address_of_the_console_is_a_page_an_action_or_written_down_here():
    actions = {
        getattr(console, name) and console.get_unfold_action(name).action_name
        for _, console, name, _ in registered_actions()
    }
    pages = {
        f"{model._meta.app_label}_{model._meta.model_name}_{kind}"
        for model in admin.site._registry
        for kind in (
            "changelist",
            "add",
            "change",
            "edit",
            "history",
            "delete",
            "export",
        )  # tests/edges/test_exports.py
    }
    found = {url.name for url in admin.site.get_urls() if getattr(url, "name", None)}
    for console in admin.site._registry.values():
        found |= {url.name for url in console.get_urls() if getattr(url, "name", None)}
    assert found - pages - actions == set(OWN_PAGES) | OTHER_ADDRESSES


@pytest.mark.parametrize("role", EVERYBODY)
def test_every_page_and_action_of_its_own_answers_each_role_as_the_data_says_and_a_denial_moves_nothing(role):
    rows = staff.everything()
    browser, wrong = staff.browser(somebody(role)), []
    before = staff.fingerprint()
    for name, permission in OWN_PAGES.items():
        status = browser.get(reverse(f"admin:{name}")).status_code
        if status != (200 if may(role, permission) else 403):
            wrong.append(f"{name}: {status}")
    for model, console, name, on_row in registered_actions():
        url, allowed = (
            url_of(model, console, name, rows[model] if on_row else None),
            may(role, getattr(console, name).permission),
        )
        statuses = [browser.get(url).status_code]
        if not allowed:
            statuses.append(
                browser.post(
                    url,
                    {
                        "key": world.key(),
                        "reason": REASON,
                        "elevate": "yes",
                        "proof": world.PASSWORD,
                        "elevation_reason": REASON,
                    },
                ).status_code
            )
        if set(statuses) != ({200} if allowed else {403}):
            wrong.append(f"{url}: {statuses}")
    assert not wrong
    assert staff.fingerprint() == before


@pytest.mark.parametrize("role", ["", "Support", "KYC officer", "Dealing desk", "Auditor"])
def test_posting_to_a_form_one_may_not_open_moves_nothing(role):
    rows = staff.everything()
    browser = staff.browser(somebody(role), elevated=True)
    before = staff.fingerprint()
    for model, row in rows.items():
        label, kind = model._meta.app_label, model._meta.model_name
        for page, verb in (
            ("add", "add"),
            ("edit", "change"),
            ("delete", "delete"),
            ("change", ""),
            ("history", ""),
        ):
            if verb and verb != "delete" and may(role, f"{label}.{verb}_{kind}"):
                continue
            url = reverse(staff.name(model, page)) if page == "add" else staff.page(row, page)
            answer = browser.post(
                url, {"name": "x", "full_name": "x", "change_reason": REASON, "post": "yes"}
            )
            assert answer.status_code in (403, 405), (url, answer.status_code)
    assert staff.fingerprint() == before


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

# A command asks nobody who they are: whoever may start one holds the machine, its secrets and its database. What it
# changes it changes as a part of the system, and says so in the event log.
COMMANDS = {
    "processes": {"custodian_simulator", "deriv_simulator", "scheduler", "sequencer", "start", "stop", "streams", "web"},
    "reads or writes files only": {
        "backup", "export_books", "list_documents", "make_key", "restore_drill", "verify_events", "verify_ledger", "write_docs",
    },
    "changes rows, as the system": {"load_demo", "load_roles", "remove_second_factor", "rotate_secrets", "sync_schedule"},
}  # fmt: skip


def test_every_command_is_in_the_table_and_none_takes_a_person_to_act_as():
    from django.core.management import get_commands, load_command_class

    ours = {name: app for name, app in get_commands().items() if app in house.PACKAGES}
    assert set(ours) == set().union(*COMMANDS.values())
    for name, app in ours.items():
        parser = load_command_class(app, name).create_parser("manage.py", name)
        options = {word for action in parser._actions for word in action.option_strings}
        assert not options & {"--by", "--as", "--as-user"}, name


# ── desks ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whatever_is_about_a_client_is_for_their_desk_alone_on_every_page_of_every_admin():
    rows = staff.everything()
    theirs, elsewhere = Desk.objects.create(name="Theirs"), Desk.objects.create(name="Elsewhere")
    Client.objects.update(desk=theirs)
    on, off = (world.staff("Administrator") for _ in range(2))
    for user in (on, off):
        user.user_permissions.set(Permission.objects.exclude(codename__startswith="delete_"))
    on.desks.add(theirs)
    off.desks.add(elsewhere)
    near, far, about = staff.browser(on), staff.browser(off), []
    before = staff.fingerprint()
    for model, row in rows.items():
        if not clients_of(row):
            continue
        about.append(model.__name__)
        console = admin.site._registry[model]
        kinds = ["change", "history"] if hasattr(model, "history") else ["change"]
        kinds += ["edit"] if console.edit_fields else []
        for kind in kinds:
            assert near.get(staff.page(row, kind)).status_code == 200, (model, kind)
            assert far.get(staff.page(row, kind)).status_code in (404, 302), (model, kind)
        link = staff.page(row)
        listed = reverse(staff.name(model, "changelist"))
        assert link in near.get(listed).content.decode(), model
        assert link not in far.get(listed).content.decode(), model
        for _, action_console, name, on_row in registered_actions():
            if on_row and action_console is console:
                url = url_of(model, console, name, row)
                assert (
                    far.get(url).status_code == 404
                    and far.post(url, {"key": world.key(), "reason": REASON}).status_code == 404
                ), url
    assert {
        "Client",
        "TradingAccount",
        "Trade",
        "Funding",
        "Difference",
        "Grant",
        "Account",
        "Hold",
        "User",
        "Session",
        "Access",
    } <= set(about)
    client = Client.objects.first()
    for model in admin.site._registry:
        label, kind = model._meta.app_label, model._meta.model_name
        forms = [reverse(f"admin:{label}_{kind}_add")]
        # Nothing is looked up as one types; if a form ever does, its rows must be the desk's.
        looked_up = {"app_label": label, "model_name": kind, "field_name": "client", "term": client.last_name}
        forms.append(f"{reverse('admin:autocomplete')}?{urlencode(looked_up)}")
        for url in forms:
            answer = far.get(url)
            assert answer.status_code in (200, 403, 404), url
            assert str(client) not in answer.content.decode(), url
    for browser, told in ((near, True), (far, False)):
        for term in (client.last_name, client.membership_set.first().user.email):
            assert (str(client) in browser.get(reverse("admin:search"), {"s": term}).content.decode()) is told
        for page in ("admin:backoffice_event_changelist", "admin:stuck", "admin:index"):
            assert browser.get(reverse(page)).status_code == 200
    assert str(client) not in far.get(reverse("admin:backoffice_event_changelist")).content.decode()
    assert str(client) not in far.get(reverse("admin:stuck")).content.decode()
    assert staff.fingerprint() == before


# ── the API ─────────────────────────────────────────────────────────────────────────────────────────────────────

ID = '"{0}"'
# What each operation is: open to anybody, the caller's own, about an object, or an act on an object. With an object:
# how it is named, as an argument or inside the input.
ANYBODY = {"signUp", "logIn", "refreshToken", "requestPasswordReset", "resetPassword", "verifyEmail"}
OWN = {
    "me",
    "fundings",
    "wallets",
    "deposits",
    "beneficiaries",
    "withdrawals",
    "instruments",
    "trades",
    "tradingAccounts",
    "transactions",
    "logOut",
    "sessions",
    "closeSession",
    "beginDerivLink",
    "completeDerivLink",
}
ABOUT = {
    "trade": {"id": "trade"}, "funding": {"id": "funding"}, "deposit": {"id": "deposit"},
    "withdrawal": {"id": "withdrawal"},
    "proposal": {"input": '{{account: "{account}", symbol: "R_100", side: CALL, stake: "1.00", duration: 5}}'},
    "transferCode": {"client": "client"}, "limits": {"client": "client"},
    "statement": {"client": "client", "currency": "currency"}, "wallet": {"client": "client", "currency": "currency"},
}  # fmt: skip
ACTS = {
    "cancelTrade": {"id": "trade"}, "sellTrade": {"id": "trade"}, "confirmAccountWithdrawal": {"id": "funding"},
    "createDeposit": {"input": '{{client: "{client}", currency: "EUR", amount: "1.00", key: "{key}"}}'},
    "cancelDeposit": {"id": "deposit"}, "cancelWithdrawal": {"id": "withdrawal"}, "removeBeneficiary": {"id": "beneficiary"},
    "addBeneficiary": {"input": '{{client: "{client}", currency: "EUR", holder: "A Name", number: "FR1420041010050500013M02606", key: "{key}"}}'},
    "requestWithdrawal": {"input": '{{beneficiary: "{beneficiary}", amount: "20.00", key: "{key}"}}'},
    "quoteTransfer": {"input": '{{client: "{client}", fromCurrency: "EUR", toCurrency: "USD", amount: "1.00"}}'},
    "transfer": {"input": '{{client: "{client}", to: "NX-2222-2222", currency: "EUR", amount: "1.00", key: "{key}"}}'},
    "setDefaultAccount": {"account": "account"}, "resetDemoBalance": {"account": "account"},
    "unlinkDerivAccount": {"account": "account"}, "createDemoAccount": {"client": "client"},
    "fundTradingAccount": {"input": '{{account: "{account}", amount: "1.00", key: "{key}"}}'},
    "withdrawFromTradingAccount": {"input": '{{account: "{account}", amount: "1.00", key: "{key}"}}'},
    "placeTrade": {"input": '{{account: "{account}", symbol: "R_100", side: CALL, stake: "1.00", duration: 5, key: "{key}"}}'},
}  # fmt: skip


def document(name, objects):
    """The operation about the owner's objects."""
    given = {
        word: how.format(**objects, key=world.key()) if word == "input" else f'"{objects[how]}"'
        for word, how in {**ABOUT, **ACTS}.get(name, {}).items()
    }
    make = operations.mutation if name in operations.mutations() else operations.query
    return make(name, **given)


def said(app, name, objects):
    """The code of the refusal, or nothing."""
    answer = app.ask(document(name, objects))
    if answer.get("errors"):
        return answer["errors"][0]["extensions"].get("code", answer["errors"][0]["message"])
    found = answer["data"][name]
    return found.get("code", "") if isinstance(found, dict) else ("NOT_FOUND" if found is None else "")


@pytest.fixture
def objects():
    rows = staff.everything()
    by_name = {model.__name__: row for model, row in rows.items()}
    account = by_name["TradingAccount"]
    trade = world.placed(account)
    payments.complete(payments.deposit(account.client, "50.00"), "50.00")
    return {
        "trade": trade.uuid,
        "funding": by_name["Funding"].uuid,
        "deposit": payments.deposit(account.client).uuid,
        "beneficiary": by_name["Beneficiary"].uuid,
        "withdrawal": by_name["Withdrawal"].uuid,
        "account": account.uuid,
        "client": account.client.uuid,
        "currency": "EUR",
    }


def test_every_operation_is_in_the_table():
    assert {*operations.queries(), *operations.mutations()} == ANYBODY | OWN | set(ABOUT) | set(ACTS)
    # Who may listen to them is a table of its own, over real sockets: tests/stories/test_live_subscriptions.py.
    assert operations.subscriptions() == ["tradeChanges", "tradeStatus", "walletBalance"]


def member(client, role):
    user = world.client().user
    Membership.objects.filter(user=user).delete()
    Membership.objects.create(client=client, user=user, role=role)
    return App().log_in(user.email)


@pytest.mark.parametrize("who", ["anonymous", "staff", "other client", "viewer", "look"])
def test_every_operation_answers_each_kind_of_caller_as_the_table_says_and_a_denial_moves_nothing(
    objects, who
):
    from datetime import timedelta

    from django.utils import timezone

    from backoffice import sessions
    from backoffice.models import Session
    from compliance import viewing

    client, app = Client.objects.get(uuid=objects["client"]), App()
    if who == "other client":
        app = App().log_in(world.account().client.membership_set.get().user.email)
    elif who == "viewer":
        app = member(client, "viewer")
    elif who == "staff":
        user = world.staff("Administrator")
        staff.browser(user)
        app.access = sessions.access_token(
            Session.objects.get(user=user), expires_at=timezone.now() + timedelta(minutes=5)
        )
    elif who == "look":
        look = viewing.begin(client, world.staff("Support"), at=timezone.now(), reason=REASON)
        app.access = sessions.access_token(look, expires_at=viewing.until(look))
    expected = {}
    for name in sorted({*operations.queries(), *operations.mutations()}):
        if name == "proposal" and who in ("viewer", "look"):
            continue  # they may ask: the venue answers, which no test here has
        is_mutation = name in operations.mutations()
        if who in ("anonymous", "staff") and name not in ANYBODY:
            expected[name] = "NOT_AUTHENTICATED" if who == "anonymous" else "INVALID_TOKEN"
        elif who == "look" and is_mutation:
            expected[name] = "READ_ONLY"
        elif who == "other client" and name in {**ABOUT, **ACTS}:
            expected[name] = "NOT_FOUND"
        elif who == "viewer" and name in ACTS:
            expected[name] = "NOT_ALLOWED"
        elif not is_mutation:
            expected[name] = ""
    before = staff.fingerprint()
    found = {name: said(app, name, objects) for name in expected}
    assert found == expected
    assert staff.fingerprint() == before


@pytest.mark.parametrize("role", ["owner", "trader"])
def test_owners_and_traders_are_not_denied(objects, role):
    client = Client.objects.get(uuid=objects["client"])
    app = member(client, role)
    for name in (
        "createDeposit",
        "deposit",
        "cancelDeposit",
        "trade",
        "funding",
        "me",
        "trades",
        "placeTrade",
        "cancelTrade",
        "withdrawal",
        *(("addBeneficiary", "requestWithdrawal") if role == "owner" else ()),
        "cancelWithdrawal",
        "setDefaultAccount",
        "createDemoAccount",
    ):
        assert said(app, name, objects) == "", name
