"""Questions to the venue through Redis: handed out once, never after the deadline, and plain about what is known."""

import json
import threading
from decimal import Decimal

import pytest

from brokerage import venue
from brokerage.deriv import errors
from brokerage.deriv.serial import to_json
from brokerage.deriv.types import Purchase

PURCHASE = Purchase(1, 2, Decimal("10.00"), Decimal("19.53"), Decimal("9990.00"), 100, 100, "CODE", "words")
ORDER = venue.Order(symbol="R_100", client_id=3, account_id=7)


class Streams(threading.Thread):
    """Stands where `streams` stands: takes one question and answers it, or keeps silent."""

    def __init__(self, redis, answer=None, link="7"):
        super().__init__()
        self._redis, self._answer, self._link, self.asked = redis, answer, link, {}
        self.start()

    def run(self):
        found = self._redis.blpop([venue.list_name(self._link)], timeout=4)
        self.asked = json.loads(found[1])
        if self._answer is not None:
            self._redis.rpush(venue.reply_name(self.asked["id"]), json.dumps(self._answer))


def test_an_answer_comes_back_exactly_as_the_venue_gave_it(redis):
    streams = Streams(redis, {"result": to_json(PURCHASE)})
    assert venue.buy(ORDER, "p1", Decimal("10.00"), deadline=venue.deadline_in(3)) == PURCHASE
    streams.join()
    assert (streams.asked["call"], streams.asked["arguments"]) == (
        "buy",
        {"proposal_id": "p1", "price": "10.00", "gate": {"symbol": "R_100", "client_id": 3, "account_id": 7}},
    )


def test_a_question_nobody_took_was_certainly_not_sent(redis):
    with pytest.raises(errors.NotSent):
        venue.buy(ORDER, "p1", Decimal("10.00"), deadline=venue.deadline_in(-0.9))
    assert redis.llen(venue.list_name("7")) == 0, "nobody can send it later"


def test_a_question_that_was_taken_and_not_answered_may_have_been_sent(redis):
    streams = Streams(redis)
    with pytest.raises(errors.AnswerTimeout) as found:
        venue.buy(ORDER, "p1", Decimal("10.00"), deadline=venue.deadline_in(-0.5))
    streams.join()
    assert isinstance(found.value, errors.OutcomeUnknown)


@pytest.mark.parametrize(
    "name", ["Refused", "RetryLater", "Reprice", "NotAuthorized", "SaleRefused", "OutcomeUnknown", "NotSent"]
)
def test_an_error_keeps_its_class_code_message_and_field(redis, name):
    streams = Streams(
        redis, {"error": {"class": name, "code": "Code", "message": "Because.", "field": "stake"}}
    )
    with pytest.raises(getattr(errors, name)) as found:
        venue.buy(ORDER, "p1", Decimal("10.00"), deadline=venue.deadline_in(3))
    streams.join()
    assert (type(found.value).__name__, found.value.code, found.value.message, found.value.field) == (
        name, "Code", "Because.", "stake",
    )  # fmt: skip


def test_an_error_of_an_unknown_class_leaves_the_outcome_open(redis):
    streams = Streams(redis, {"error": {"class": "Surprise", "code": "X", "message": "", "field": None}})
    with pytest.raises(errors.OutcomeUnknown):
        venue.sell(ORDER, 1, deadline=venue.deadline_in(3))
    streams.join()
