"""What pages show, and never show: names, tidy amounts, no secrets; how much they cost; what desks see."""

import asyncio
import gzip
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from backoffice import patience, sequencer
from backoffice.admin import ports, unfinished
from backoffice.cache import async_redis
from backoffice.models import RefreshToken
from brokerage import connections, trades
from brokerage.connections import LinkFacts
from brokerage.models import Trade
from brokerage.streams import budget
from compliance.models import Approval, Client, Desk
from ledger.models import Account
from tests import world
from tests.counting import questions
from tests.edges import staff
from tests.edges.api import App

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
AT_MOST = 12


def every_page(rows):
    yield reverse("admin:index")
    yield reverse("admin:stuck")
    yield reverse("admin:jobs_at_a_glance")
    for name in ("trial_balance", "balance_sheet", "income", "client_money"):
        yield reverse(f"admin:ledger_{name}")
        yield reverse(f"admin:ledger_{name}") + "?book=demo_mirror&first=2026-11-01&last=2026-11-30"
    (account,) = [row for row in rows.values() if isinstance(row, Account)]
    yield reverse("admin:ledger_explain") + f"?account={account.pk}"
    yield reverse("admin:ledger_client_statement") + f"?client={account.client_id}&proof=nonsense"
    for model, row in rows.items():
        yield reverse(staff.name(model, "changelist"))
        yield staff.page(row)
        if hasattr(model, "history"):
            yield staff.page(row, "history")
        if staff.admin.site._registry[model].edit_fields:
            yield staff.page(row, "edit")


def test_no_page_shows_a_secret_or_an_untidy_number():
    rows = staff.everything()
    (account,) = [row for row in rows.values() if hasattr(row, "login_id")]
    app = App().log_in(account.client.membership_set.get().user.email)
    user = staff.superuser()
    secrets = [account.token, user.password, app.access, app.refresh, RefreshToken.objects.first().digest]
    assert all(secrets)
    browser = staff.browser(user)
    for url in every_page(rows):
        answer = browser.get(url)
        assert answer.status_code == 200, url
        text = answer.content.decode()
        assert not [secret for secret in secrets if secret in text], url
        untidy = re.search(r".{0,300}\d\.\d*0{9}", text)
        assert not untidy, f"{url} shows a number as the database keeps it: {untidy[0]}"
        assert "&amp;lt;" not in text and "&amp;amp;" not in text, f"{url} shows HTML entities"
        assert "uccessfully" not in text, url
        assert "Histor" not in text.replace("historical", ""), url


def test_lists_say_what_an_empty_one_will_hold():
    browser = staff.browser(staff.superuser())
    assert (
        "Trades appear as clients place them"
        in browser.get(reverse("admin:brokerage_trade_changelist")).content.decode()
    )
    answer = browser.get(reverse("admin:brokerage_trade_changelist"), {"q": "nobody"})
    assert "Nothing is found for “nobody”" in answer.content.decode()


def queries(browser, url):
    browser.get(url)  # content types and the like are kept from here on
    with questions() as seen:
        assert browser.get(url).status_code == 200, url
    return len(seen)


def test_home_lists_and_records_ask_little_and_no_more_when_there_is_more():
    rows = staff.everything()
    user = world.staff("Auditor")
    browser = staff.browser(user)
    (account,) = [row for row in rows.values() if hasattr(row, "login_id")]
    urls = [url for url in every_page(rows) if "/edit/" not in url]
    before = {url: queries(browser, url) for url in urls}
    for number in range(8):
        trade = world.opened(
            world.placed(account, stake=f"{number + 1}.00"),
            contract_id=5000 + number,
            buy_price=Decimal("1.00"),
        )
        trades.settle(trade, world.outcome(), by=world.TESTER, at=world.NOW)
        world.account()
    after = {url: queries(browser, url) for url in urls}
    # The inbox asks once for each kind of thing that waits in it, the page of stuck things for each that is stuck; and
    # where an adjustment waits its page tries what it would post, opens the account for it where there is none, and asks whether
    # it was agreed to and could not be done.
    kinds = Approval.objects.values("kind").distinct().count()
    late = [
        one
        for one in ports.unfinished
        if one.model.objects.filter(patience.late(one.model, timezone.now())).exists()
    ]
    waits = next(row for model, row in rows.items() if model.__name__ == "Adjustment")
    most = {
        reverse("admin:compliance_approval_changelist"): 10 + kinds, reverse("admin:stuck"): 6 + len(late),
        staff.page(waits): 18,
    }  # fmt: skip
    worst = {url: (before[url], after[url]) for url in urls if after[url] > most.get(url, AT_MOST)}
    assert not worst
    assert not {url: (before[url], after[url]) for url in urls if after[url] > before[url] + 1}


def test_what_waits_is_counted_alike_for_who_sees_everything_and_for_a_desk_that_has_every_client(rf):
    trades_there = [world.placed(), world.placed()]
    desk, other = Desk.objects.create(name="Everybody"), Desk.objects.create(name="Nobody")
    Client.objects.update(desk=desk)

    def counted(user):
        request = rf.get("/")
        request.user = user
        return unfinished.tally(request, "brokerage.trade"), unfinished.tally(
            request, "brokerage.trade", "open"
        )

    everything = counted(staff.superuser())
    since = min(trade.placed_at for trade in trades_there)
    assert everything == (unfinished.Tally(2, 2, since, since), unfinished.Tally())
    theirs, nothing = world.staff("Dealing desk"), world.staff("Dealing desk")
    desk.staff.add(theirs)
    other.staff.add(nothing)
    assert (counted(theirs), counted(nothing)) == (everything, (unfinished.Tally(), unfinished.Tally()))


def test_the_first_page_is_small_on_the_wire():
    account = world.account()
    for number in range(30):
        world.placed(account, stake=f"{number + 1}.00")
    browser = staff.browser(staff.superuser())
    for url in (reverse("admin:index"), reverse("admin:brokerage_trade_changelist")):
        assert len(gzip.compress(browser.get(url).content)) <= 60 * 1024


def test_a_record_shows_its_story_and_its_entries_as_accounting_text():
    trade = trades.settle(world.opened(), world.outcome(), by=world.TESTER, at=world.NOW)
    text = staff.of_role("Dealing desk").get(staff.page(trade)).content.decode()
    for words in ("Placed", "Sent to the venue", "Bought at the venue", "Won"):
        assert f"<b>{words}</b>" in text
    lines = re.findall(r'<td class="c-(debit|credit)">.*?>([^<]+)</a></td>', text)
    account = trade.account.login_id
    assert lines == [
        ("debit", f"{account} · trading cash USD"),
        ("credit", f"{account} · open stakes USD"),
        ("debit", f"{account} · open stakes USD"),
        ("credit", f"{account} · trading cash USD"),
        *[line for line in lines if line[1].startswith("House · venue result")],
    ]
    assert "The exit spot was on the client&#x27;s side; the payout was credited." in text
    assert "payload" not in text and "{&quot;" not in text


def account_page(account):
    text = staff.of_role("Dealing desk").get(staff.page(account)).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_an_accounts_page_says_how_it_is_connected_and_how_much_it_may_still_ask(redis):
    account = world.account()
    empty = account_page(account)
    assert "No streams process holds it now" in empty and "To the venue None" in empty
    since = timezone.now().timestamp() - 120
    up = LinkFacts(True, since, 3, since + 110, "v3")
    redis.set(f"{connections.PREFIX}one", connections.told({str(account.pk): up}, site="up"))
    asked_too_often(account.pk)
    text = account_page(account)
    # However slow this machine is at the moment.
    assert re.search(r"Connection Up Since 2 min ago Protocol v3 Last heard of the venue [1-5]\d s ago", text)
    assert "Connections made by this process 3" in text
    assert "v3, outcome 7 of 25 The venue refused more; nothing leaves for 2 s" in text
    assert "v3, pricing" not in text, "nothing of it left in the last minute"
    down = LinkFacts(False, since, 3, None, "v4", "FEED_FROZEN")
    redis.set(f"{connections.PREFIX}one", connections.told({str(account.pk): down}, site="up"))
    assert re.search(
        r"Connection Down Since 2 min ago Why feed frozen; it is made anew Protocol v4",
        account_page(account),
    )


def asked_too_often(pk):
    async def ask():
        client = async_redis()
        for _ in range(7):
            await budget.take(client, str(pk), "v3", "outcome")
        await budget.block(client, str(pk), "v3", "outcome")
        await client.aclose()

    asyncio.run(ask())


def test_staff_on_a_desk_see_their_clients_rows_and_nobody_elses():
    ours, theirs = (
        world.placed(world.account(world.client(first_name=name))) for name in ("Ourselves", "Otherwise")
    )
    desk = Desk.objects.create(name="Ours")
    Client.objects.filter(pk=ours.client_id).update(desk=desk)
    user = world.staff("Support")
    desk.staff.add(user)
    browser = staff.browser(user)
    for model in ("compliance_client", "brokerage_trade", "brokerage_tradingaccount"):
        text = browser.get(reverse(f"admin:{model}_changelist")).content.decode()
        assert "Ourselves" in text and "Otherwise" not in text, model
    for row in (theirs, theirs.account, theirs.client, theirs.account.cash):
        assert browser.get(staff.page(row)).status_code == 404
    for row in (ours, ours.account, ours.client, ours.account.cash):
        assert browser.get(staff.page(row)).status_code == 200
    found = browser.get(reverse("admin:search"), {"s": "otherwise", "extended": "1"}).content.decode()
    assert "Otherwise" not in found
    assert (
        browser.get(reverse("admin:brokerage_trade_changelist"), {"q": "Otherwise"})
        .content.decode()
        .count("data-row")
        == 0
    )
    other = Desk.objects.create(name="Theirs")
    Client.objects.filter(pk=theirs.client_id).update(desk=other)
    assert "Otherwise" not in browser.get(staff.page(other)).content.decode()
    dealer = world.staff("Dealing desk")
    desk.staff.add(dealer)
    assert (
        staff.browser(dealer)
        .post(reverse("admin:brokerage_trade_withdraw_now", args=[theirs.pk]))
        .status_code
        == 404
    )


def test_a_trade_is_found_by_client_contract_log_in_and_id():
    trade = world.opened(contract_id=987654321)
    world.opened(world.placed(world.account(world.client(first_name="Somebody", last_name="Else"))))
    browser = staff.of_role("Support")
    for term in ("amina", "Amina Odh", "987654321", trade.account.login_id.lower(), str(trade.uuid)):
        text = browser.get(reverse("admin:brokerage_trade_changelist"), {"q": term}).content.decode()
        assert text.count("data-row") == 1, term
    for term, words in (("987654321", "trade of Amina"), (trade.account.login_id, "Trading account of Amina"),
                        ("amin", "Amina Odhiambo"), ("trial", "Trial balance")):  # fmt: skip
        assert words in browser.get(reverse("admin:search"), {"s": term, "extended": "1"}).content.decode(), (
            term
        )


def test_search_holds_permissions_at_once_and_is_not_kept():
    world.client()
    user = world.staff("Support")
    browser, url = staff.browser(user), reverse("admin:search")
    assert "Amina" in browser.get(url, {"s": "amina", "extended": "1"}).content.decode()
    user.groups.clear()
    assert "Amina" not in browser.get(url, {"s": "amina", "extended": "1"}).content.decode()


def test_verifying_says_what_was_checked_and_finds_an_event_that_was_changed():
    for _ in range(3):
        world.client()
    sequencer.sequence()
    browser, url = staff.of_role("Auditor"), reverse("admin:backoffice_event_verify_log")
    answer = browser.post(url, {"key": world.key()}, follow=True)
    count = sequencer.verify().checked
    assert count and f"All {count} sealed events are as they were sealed" in answer.content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE backoffice_event SET \"by\" = 'system:nobody' WHERE position = 2")
        cursor.execute("SET LOCAL session_replication_role = origin")
    text = browser.post(url, {"key": world.key()}).content.decode()
    assert (
        "The chain breaks at position 2: the event is not what was sealed." in text and "CHAIN_BROKEN" in text
    )
    assert "The chain breaks at position 2" in browser.get(reverse("admin:index")).content.decode()


def test_what_is_stuck_waits_on_home_and_on_its_page_with_owner_reason_and_next_step():
    trade = world.placed()  # in the tests' year: stuck, like the account and the hold it belongs to
    browser = staff.of_role("Dealing desk")
    home = browser.get(reverse("admin:index")).content.decode()
    assert "c-edge-red" in home and reverse("admin:stuck") in home
    page = browser.get(reverse("admin:stuck")).content.decode()
    assert f'href="{staff.page(trade)}"' in page and "Trades (1)" in page
    for words in (
        "A worker",
        "Waiting for a worker to send it to the venue; nothing has been bought yet.",
        "60 s",
    ):
        assert words in page, words
    assert browser.post(reverse("admin:stuck")).status_code == 405
    Trade.objects.update(changed_at=timezone.now())
    assert "Trades (1)" not in browser.get(reverse("admin:stuck")).content.decode()


def test_the_page_of_stuck_things_shows_each_their_own():
    trade = world.placed()
    nobody = staff.browser(world.staff("")).get(reverse("admin:stuck"))
    assert nobody.status_code == 200 and str(trade) not in nobody.content.decode()
    away = world.staff("Dealing desk")
    Desk.objects.create(name="Elsewhere").staff.add(away)
    assert staff.page(trade) not in staff.browser(away).get(reverse("admin:stuck")).content.decode()


def test_stuck_trades_wait_in_their_queue():
    world.placed()
    browser = staff.of_role("Dealing desk")
    listed = browser.get(reverse("admin:brokerage_trade_changelist"), {"queue": "stuck"}).content.decode()
    assert listed.count("data-row") == 1


def test_the_log_in_page_names_demo_log_ins_in_a_demo_only(settings):
    from backoffice.configuration import configuration

    page = staff.browser(None).get(reverse("admin:login")).content.decode()
    assert ("admin@demo.example" in page) == configuration().demo
    assert "Nexus Back Office" in page and "https://" not in re.sub(r"http://www.w3.org\S*", "", page)


def test_the_parts_below_a_record_are_read_when_they_are_opened():
    trade = world.placed()
    browser, page = staff.of_role("Support"), staff.page(trade.client)
    first = browser.get(page).content.decode()
    titles = re.findall(r'role="tab" .*?>([^<]+)</button>', first)
    assert titles == [
        "Trading accounts", "Trades", "Ledger accounts", "Deposits", "Withdrawals", "Limits", "Changes",
    ]  # fmt: skip
    assert trade.account.login_id in first
    assert "Rise Volatility 100 Index" in browser.get(page, {"tab": "1"}).content.decode()
    assert "trading cash USD" in browser.get(page, {"tab": "2"}).content.decode()
    assert browser.get(page, {"tab": "99"}).content == b""


def test_staff_on_a_desk_see_only_their_clients_postings_on_the_houses_accounts():
    ours, theirs = (world.account(world.client(first_name=name)) for name in ("Ourselves", "Otherwise"))
    desk = Desk.objects.create(name="Ours")
    Client.objects.filter(pk=ours.client_id).update(desk=desk)
    user = world.staff("Support")
    funding = list(Account.objects.filter(purpose="venue_funding"))  # one shard or two

    def seen():
        pages = [staff.browser(user).get(staff.page(account)).content.decode() for account in funding]
        return sum(page.count("Opening balance") for page in pages)

    assert seen() == 2
    desk.staff.add(user)
    assert seen() == 1
    assert theirs.client_id != ours.client_id
