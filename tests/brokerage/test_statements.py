"""The venue's statement as the second source: every line once, laid to its trade, booked as outside, or for a person."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokerage import corrections, differences, proofs, reconciliation, statements, trades
from brokerage.matching import Candidate
from brokerage.models import Difference, Trade, TradingAccount, VenueLine
from brokerage.translation import Heard
from tests import world
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


class Venue:
    """The lines a venue would write about one account, one after the other."""

    def __init__(self, account, first=500):
        self.account, self.number, self.balance = account, first, Decimal(0)
        self.lines = []
        self.line("virtual_credit", account.opening_balance, at=NOW - timedelta(seconds=1))

    def line(self, action, amount, contract_id=None, at=NOW, shortcode=""):
        self.number += 1
        self.balance += Decimal(amount)
        heard = Heard(self.number, action, Decimal(amount), self.balance, at, contract_id, shortcode)
        self.lines.append(heard)
        return heard

    def told(self, at=NOW):
        return statements.take_in(self.account, self.lines, at=at)


@pytest.fixture
def venue():
    return Venue(world.account())


def states(account):
    return list(account.venue_lines.order_by("transaction_id").values_list("state", flat=True))


def cash(account):
    return TradingAccount.objects.select_related("cash").get(pk=account.pk).cash.posted


def proof(account):
    found = proofs.compare(account)
    return found.venue, found.mirror, found.explained, found.unexplained


def test_lines_are_taken_in_once_however_often_and_in_whatever_order_they_are_told(venue):
    trade = world.opened(world.placed(venue.account))
    venue.line("buy", "-10.00", trade.contract_id)
    assert statements.take_in(venue.account, reversed(venue.lines), at=NOW) == 2
    assert venue.told() == 0
    assert states(venue.account) == ["opening", "matched"]


def test_a_trade_is_confirmed_when_the_statement_says_the_same_of_purchase_and_end(venue):
    trade = world.opened(world.placed(venue.account))
    venue.line("buy", "-10.00", trade.contract_id)
    venue.line("sell", "19.53", trade.contract_id)
    venue.told()
    assert states(venue.account) == ["opening", "matched", "waiting"], (
        "the contract's own stream is not heard yet"
    )
    trades.settle(trade, world.outcome(), by=TESTER, at=NOW)
    statements.lay_waiting(venue.account, at=NOW)
    trade.refresh_from_db()
    assert states(venue.account) == ["opening", "matched", "matched"] and trade.confirmed_at == NOW
    assert proof(venue.account) == (Decimal("10009.53"), Decimal("10009.53"), 0, 0)


def test_a_purchase_waits_while_a_trade_of_ours_could_have_caused_it(venue):
    trade = world.submitting(world.placed(venue.account))
    venue.line("buy", "-10.00", 77)
    venue.told()
    assert states(venue.account)[-1] == "waiting"
    assert proof(venue.account) == (9990, 10000, -10, 0), "the difference is explained to the line"
    trades.record_bought(trade, world.bought(77), by=TESTER, at=NOW)
    statements.lay_waiting(venue.account, at=NOW)
    assert states(venue.account)[-1] == "matched" and cash(venue.account) == 9990


def test_what_no_trade_of_ours_can_have_caused_is_booked_as_outside_activity(venue):
    venue.line("buy", "-25.00", 78)
    venue.line("sell", "40.00", 78)
    venue.line("buy", "-5.00", 79)
    venue.line("sell", "0", 79)
    venue.line("deposit", "100.00")
    venue.line("withdrawal", "-30.00")
    venue.told()
    assert set(states(venue.account)) == {"opening", "outside"}
    account = TradingAccount.objects.select_related("cash", "stakes").get(pk=venue.account.pk)
    assert (account.cash.posted, account.stakes.posted, account.venue_balance) == (10080, 0, 10080)
    assert proof(account) == (10080, 10080, 0, 0)
    before = cash(account)
    venue.told()
    assert cash(account) == before, "told again, nothing is booked again"


def test_an_end_that_says_another_amount_is_a_difference_and_can_be_corrected(venue):
    trade = world.opened(world.placed(venue.account))
    trade = trades.settle(trade, world.outcome(), by=TESTER, at=NOW)
    venue.line("buy", "-10.00", trade.contract_id)
    venue.line("sell", "18.00", trade.contract_id)
    venue.told()
    (found,) = Difference.objects.open()
    assert (found.kind, found.trade) == ("settlement", trade)
    assert [Decimal(found.facts[side]) for side in ("ours", "venues")] == [Decimal("19.53"), 18]
    assert proof(venue.account) == (Decimal("10008.00"), Decimal("10009.53"), Decimal("-1.53"), 0)
    corrections.correct(found, by=TESTER, at=NOW, key="k1", reason="The venue's statement is right.")
    trade.refresh_from_db()
    assert (trade.proceeds, trade.profit, trade.confirmed_at) == (18, 8, NOW)
    assert cash(venue.account) == 10008 and proof(venue.account)[2:] == (0, 0)
    with pytest.raises(differences.AlreadyResolved):
        corrections.correct(found, by=TESTER, at=NOW, key="k2", reason="The venue's statement is right.")
    assert cash(venue.account) == 10008


def test_a_purchase_at_another_price_is_a_difference_and_the_open_stake_follows_the_correction(venue):
    trade = world.opened(world.placed(venue.account))
    venue.line("buy", "-9.50", trade.contract_id)
    venue.told()
    corrections.correct(
        Difference.objects.open().get(), by=TESTER, at=NOW, key="k", reason="As the statement says."
    )
    trade = trades.settle(trade, world.outcome("lost", "0"), by=TESTER, at=NOW)
    account = TradingAccount.objects.select_related("cash", "stakes").get(pk=venue.account.pk)
    assert (account.cash.posted, account.stakes.posted, trade.profit) == (
        Decimal("9990.50"),
        0,
        Decimal("-9.50"),
    )


def test_an_end_on_the_statement_alone_is_decided_by_a_person(venue):
    trade = world.opened(world.placed(venue.account))
    venue.line("buy", "-10.00", trade.contract_id)
    venue.line("sell", "0", trade.contract_id)
    venue.told()
    statements.find_other_end(trade, at=NOW + timedelta(seconds=20))
    assert not Difference.objects.open().exists(), "the contract's stream may still tell"
    statements.find_other_end(trade, at=NOW + timedelta(seconds=31))
    corrections.correct(Difference.objects.open().get(), by=TESTER, at=NOW, key="k", reason="It has ended.")
    trade.refresh_from_db()
    assert (trade.state, trade.profit, trade.confirmed_at) == ("lost", -10, NOW)


def test_another_accounts_line_and_a_line_that_changed_are_not_taken(venue):
    venue.told()
    stranger = world.account()
    assert statements.take_in(stranger, venue.lines[:1], at=NOW) == 0
    first = venue.lines[0]
    changed = Heard(first.transaction_id, "virtual_credit", Decimal(9), Decimal(9), NOW, None, "")
    assert statements.take_in(venue.account, [changed], at=NOW) == 0
    kinds = list(Difference.objects.open().values_list("kind", "account"))
    assert kinds == [("foreign_line", stranger.pk), ("changed_line", venue.account.pk)]
    assert venue.account.venue_lines.get().amount == 10000


def test_a_gap_in_the_statement_is_listed_and_goes_away_when_a_later_reading_fills_it(venue):
    missing = venue.line("deposit", "7.00")
    venue.line("deposit", "1.00")
    statements.take_in(venue.account, [venue.lines[0], venue.lines[2]], at=NOW)
    statements.check_whole(venue.account, at=NOW)
    (found,) = Difference.objects.open()
    assert (found.kind, found.facts["missing"]) == ("gap", "7.000000000000000000")
    assert proof(venue.account)[3] == 7, "nobody can explain what is not told"
    statements.take_in(venue.account, [missing], at=NOW)
    statements.check_whole(venue.account, at=NOW)
    found.refresh_from_db()
    assert (found.state, found.resolution) == ("resolved", "went_away")
    assert proof(venue.account)[3] == 0
    venue.account.refresh_from_db()
    assert venue.account.statement_through == venue.number


def two_candidates():
    trade = trades.mark_uncertain(world.submitting(), code="NO_ANSWER", message="", by=TESTER, at=NOW)
    start = int(NOW.timestamp())
    found = [
        Candidate(number, f"CALL_R_100_19.53_{start}_5T_S0P_0", Decimal("10.00"), start)
        for number in (41, 42)
    ]
    reconciliation._list_candidates(trade, found, at=NOW)
    return trade, Difference.objects.open().get()


def test_a_person_adopts_one_of_two_contracts_and_the_other_is_outside_activity():
    trade, listed = two_candidates()
    venue = Venue(trade.account)
    venue.line("buy", "-10.00", 41)
    venue.line("buy", "-10.00", 42)
    venue.told()
    assert states(trade.account) == ["opening", "waiting", "waiting"]
    trade = reconciliation.adopt(listed, 42, by=TESTER, at=NOW, key="k", reason="The client saw 42.")
    assert (trade.state, trade.contract_id, trade.payout) == ("open", 42, Decimal("19.53"))
    statements.lay_waiting(trade.account, at=NOW)
    assert states(trade.account) == ["opening", "outside", "matched"]
    assert proof(trade.account) == (9980, 9980, 0, 0)


def test_two_people_cannot_decide_one_difference():
    trade, listed = two_candidates()
    reconciliation.adopt(listed, 41, by=TESTER, at=NOW, key="one", reason="It is 41.")
    for refused in (
        lambda: reconciliation.adopt(listed, 42, by=TESTER, at=NOW, key="two", reason="It is 42."),
        lambda: reconciliation.rule_out(listed, by=TESTER, at=NOW, key="three", reason="It is neither."),
    ):
        with pytest.raises(differences.AlreadyResolved, match="contract adopted"):
            refused()
    trade.refresh_from_db()
    assert (trade.state, trade.contract_id) == ("open", 41)


def test_a_contract_that_another_trade_claimed_cannot_be_adopted_and_nothing_moves():
    trade, listed = two_candidates()
    world.opened(contract_id=41)
    with pytest.raises(trades.ContractClaimed):
        reconciliation.adopt(listed, 41, by=TESTER, at=NOW, key="k", reason="It is 41.")
    trade.refresh_from_db()
    listed.refresh_from_db()
    assert (trade.state, listed.state, cash(trade.account)) == ("uncertain", "open", 10000)


def test_when_none_is_ours_the_stake_is_free_and_the_venue_stays_mirrored():
    trade, listed = two_candidates()
    trade = reconciliation.rule_out(listed, by=TESTER, at=NOW, key="k", reason="Both were bought by hand.")
    venue = Venue(trade.account)
    venue.line("buy", "-10.00", 41)
    venue.told()
    assert trade.state == "never_placed" and states(trade.account)[-1] == "outside"
    assert proof(trade.account) == (9990, 9990, 0, 0)


def test_a_purchase_the_venue_shows_after_it_was_given_up_is_listed_and_mirrored():
    trade = trades.mark_uncertain(world.submitting(), code="NO_ANSWER", message="", by=TESTER, at=NOW)
    with pytest.raises(reconciliation.TooSoon):
        reconciliation.give_up(trade, by=TESTER, at=NOW, key="k", reason="The venue is gone.")
    trade = reconciliation.give_up(
        trade, by=TESTER, at=NOW + timedelta(seconds=20), key="k", reason="The venue is gone."
    )
    venue = Venue(trade.account)
    venue.line("buy", "-10.00", 41)
    venue.told()
    listed = Difference.objects.open().get()
    assert (trade.state, listed.kind, listed.trade) == ("never_placed", "late_purchase", trade)
    differences.explain(listed, by=TESTER, at=NOW, key="k2", reason="The client was told.")
    assert Difference.objects.get().resolution == "explained"
    assert proof(trade.account) == (9990, 9990, 0, 0)


def test_candidates_are_decided_where_they_are_listed():
    trade, _ = two_candidates()
    with pytest.raises(reconciliation.CandidatesFound):
        reconciliation.give_up(trade, by=TESTER, at=NOW + timedelta(seconds=20), key="k", reason="No idea.")
    assert Trade.objects.get().state == "uncertain"


def test_a_balance_nobody_can_explain_is_corrected_to_the_venues(venue):
    venue.told()
    VenueLine.objects.update(balance_after=Decimal("10003.00"))
    account = venue.account
    listed = differences.find(
        account=account, kind=Difference.Kind.BALANCE, about="balance", sentence="x", by=TESTER, at=NOW
    )
    assert corrections.change(listed) == 3
    corrections.correct(listed, by=TESTER, at=NOW, key="k", reason="The venue confirmed it by mail.")
    assert cash(account) == 10003 and proof(account)[3] == 0
