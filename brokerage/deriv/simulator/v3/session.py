"""One client's connection: envelope, checks, dispatch, and what is sent to it."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from brokerage.deriv.simulator.books import Account, Refusal, Terms
from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.events import Event
from brokerage.deriv.simulator.faults import DropConnection, Fault, Faults
from brokerage.deriv.simulator.generation import Generation
from brokerage.deriv.simulator.moves import Moves
from brokerage.deriv.simulator.prices import Quote
from brokerage.deriv.simulator.pulse import Pulse
from brokerage.deriv.simulator.v3 import market_calls, trading_calls
from brokerage.deriv.simulator.v3.answers import Answer, Call
from brokerage.deriv.simulator.v3.fields import problems
from brokerage.deriv.simulator.v3.limits import Limits
from brokerage.deriv.simulator.v3.streams import StatusStream, Stream
from brokerage.deriv.wire import NotJson, decode, encode, redact

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A proposal that can be bought once."""

    terms: Terms
    at: float


class Session:
    OUTGOING = 20_000
    """Frames waiting for a client that does not read; one more, and it is disconnected."""
    PROPOSAL_LIFE = 60.0
    """Seconds for which a proposal without a stream can be bought."""

    def __init__(
        self,
        name: str,
        generation: Generation,
        app_id: int,
        pulse: Pulse,
        faults: Faults,
        limits: Limits,
        conditions: Conditions,
        moves: Moves,
        login_id: str | None = None,
    ) -> None:
        """``login_id``: whose connection it is from the start, where the protocol knows no ``authorize``."""
        self.name = name
        self.generation = generation
        self.app_id = app_id
        self.pulse = pulse
        self.engine: Engine = pulse.engine
        self.faults = faults
        self.limits = limits
        self.conditions = conditions
        self.moves = moves
        self.login_id: str | None = None
        self.belong_to(login_id)
        self.streams: dict[str, Stream] = {}
        self.proposals: dict[str, Quoted] = {}
        self.outgoing: asyncio.Queue[str | None] = asyncio.Queue()
        self.closing = False
        self._behind: list[str] = []
        self._waiting: set[asyncio.Task[None]] = set()

    # ── what comes in ────────────────────────────────────────────────────────────────────────────────

    def receive(self, text: str | bytes) -> None:
        """Handle one message. Never raises for what a client sent."""
        try:
            request = decode(text)
        except NotJson:
            self._send(
                {"msg_type": "error", "echo_req": {}}, _error("InvalidJSON", "The message is not JSON.")
            )
            return
        if not isinstance(request, dict):
            problem = _error("BadRequest", "A request is a JSON object.")
            self._send({"msg_type": "error", "echo_req": {}}, problem)
            return
        envelope = _envelope(request)
        calls = self.generation.calls
        called = next((calls[key] for key in request if key in calls), None)
        if called is not None:
            self.conditions.received.append((called.name, self.login_id, time.time()))
        if called is None:
            self._send(
                {**envelope, "msg_type": "error"}, _error("UnrecognisedRequest", "There is no such call.")
            )
            return
        fault = self.faults.take(called.name, self.login_id)
        if fault is None:
            self._answer(called, request, envelope, None)
            return
        task = asyncio.get_running_loop().create_task(self._answer_badly(called, request, envelope, fault))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _answer_badly(
        self, called: Call, request: dict[str, Any], envelope: dict[str, Any], fault: Fault
    ) -> None:
        logger.info("fault %s on %s of %s", fault.name, called.name, self.login_id)
        try:
            await fault.before()
        except DropConnection:
            self.drop()
        except Refusal as refusal:
            self._send({**envelope, "msg_type": _error_type(called, request)}, _refused(refusal))
        else:
            self._answer(called, request, envelope, fault)

    def _answer(
        self, called: Call, request: dict[str, Any], envelope: dict[str, Any], fault: Fault | None
    ) -> None:
        at = time.time()
        if self.closing:
            return
        try:
            self._admit(called, request, at)
            answer = called.handler(self, request, at)
            if fault is not None:
                fault.done(answer.body, self.engine)
        except Refusal as refusal:
            self._send({**envelope, "msg_type": _error_type(called, request)}, _refused(refusal))
        except DropConnection:
            self.drop()
        except Exception:
            logger.exception("%s failed", called.name)
            problem = _error("InternalServerError", "The venue failed.")
            self._send({**envelope, "msg_type": _error_type(called, request)}, problem)
        else:
            self._send_answer(answer, envelope, fault)
        self.pulse.flush(at)

    def _admit(self, called: Call, request: dict[str, Any], at: float) -> None:
        if found := problems(request, called.fields):
            raise Refusal("InputValidationFailed", f"Check the fields: {', '.join(found)}.", found)
        rate = self.generation.rates[called.group]
        self.limits.check(self.login_id or self.name, called.group, rate, at)
        if called.scope is None:
            return
        account = self.account()
        if called.scope not in account.scopes:
            raise Refusal("PermissionDenied", f"The token lacks the scope {called.scope}.")
        if request.get("loginid", account.login_id) != account.login_id:
            raise Refusal("PermissionDenied", "The token is for another account.", {"field": "loginid"})

    # ── for the handlers ─────────────────────────────────────────────────────────────────────────────

    def account(self) -> Account:
        """The authorized account. Raises ``Refusal`` if there is none."""
        if self.login_id is None:
            raise Refusal("AuthorizationRequired", "Authorize first.")
        return self.engine.account(self.login_id)

    def forgotten(self) -> int:
        """The last transaction that this generation does not tell of: what v4 keeps as the old platform's history."""
        return 0 if self.generation.name == "v3" else self.moves.last_before(self.account().login_id)

    def belong_to(self, login_id: str | None) -> None:
        """Be this account's connection from now on, or nobody's."""
        self.conditions.connected.change(self.login_id, login_id)
        self.login_id = login_id

    def subscribe(self, stream: Stream) -> Stream:
        """Add a stream. Refused if the connection has the same one already."""
        if any(known.key == stream.key for known in self.streams.values()):
            raise Refusal("AlreadySubscribed", f"This connection follows {stream.kind} already.")
        self.streams[stream.id] = stream
        return stream

    def priced(self, terms: Terms, proposal_id: str, at: float) -> dict[str, Any]:
        """A ``proposal`` body; from now on ``proposal_id`` can be bought."""
        body = trading_calls.proposal_body(self, terms, proposal_id, at)
        self.proposals.pop(proposal_id, None)
        self.proposals[proposal_id] = Quoted(terms, at)
        while len(self.proposals) > 1000:
            self.proposals.pop(next(iter(self.proposals)))
        return body

    # ── what goes out ────────────────────────────────────────────────────────────────────────────────

    def status_changed(self) -> None:
        """Tell who follows the site's status."""
        for stream in list(self.streams.values()):
            if isinstance(stream, StatusStream):
                self._send_streamed(stream, market_calls.site_status(self.conditions.site_status))

    def ticked(self, quotes: list[Quote], at: float) -> None:
        for stream in list(self.streams.values()):
            if stream.wants(quotes[0].symbol):
                for body in stream.ticked(quotes, at):
                    self._send_streamed(stream, body)

    def happened(self, event: Event, at: float) -> None:
        for stream in list(self.streams.values()):
            for body in stream.happened(event, at):
                self._send_streamed(stream, body)

    def _send_answer(self, answer: Answer, envelope: dict[str, Any], fault: Fault | None = None) -> None:
        for part in (answer, *answer.more):
            head = {**envelope, "msg_type": part.msg_type}
            if part.stream is not None:
                part.stream.envelope = envelope
                head["subscription"] = {"id": part.stream.id}
            self._send(head, part.body, fault)

    def _send_streamed(self, stream: Stream, body: dict[str, Any]) -> None:
        head = {**stream.envelope, "msg_type": stream.msg_type, "subscription": {"id": stream.id}}
        self._send(head, body, self.faults.take(stream.msg_type, self.login_id, of_frames=True))

    def _send(self, head: dict[str, Any], body: dict[str, Any], fault: Fault | None = None) -> None:
        text = encode({**self.generation.shown(head["msg_type"], body), **head})
        if fault is None:
            self.put(text)
        else:
            fault.deliver(text, self)

    def put(self, text: str) -> None:
        if self.closing:
            return
        if self.outgoing.qsize() >= self.OUTGOING:
            logger.warning("connection %s does not read; it is dropped", self.name)
            self.drop()
            return
        self.outgoing.put_nowait(text)
        if self._behind:
            behind, self._behind = self._behind, []
            for each in behind:
                self.put(each)

    def later(self, seconds: float, text: str) -> None:
        asyncio.get_running_loop().call_later(seconds, self.put, text)

    def behind(self, seconds: float, text: str) -> None:
        self._behind.append(text)
        asyncio.get_running_loop().call_later(seconds, self._catch_up, text)

    def _catch_up(self, text: str) -> None:
        """Nothing went out meanwhile: what was to go behind it goes now."""
        if text in self._behind:
            self._behind.remove(text)
            self.put(text)

    def drop(self) -> None:
        """Close the connection without sending what is still waiting."""
        self.closing = True
        self.streams.clear()
        while not self.outgoing.empty():
            self.outgoing.get_nowait()
        self.outgoing.put_nowait(None)

    def end(self) -> None:
        """The connection is gone."""
        self.closing = True
        self.belong_to(None)
        self.streams.clear()
        self.limits.forget(self.name)
        for task in self._waiting:
            task.cancel()


def _error_type(called: Call, request: dict[str, Any]) -> str:
    """An error carries the type that the answer would have had."""
    if called.name == "ticks_history":
        return "candles" if request.get("style") == "candles" else "history"
    return "tick" if called.name == "ticks" else called.name


def _envelope(request: dict[str, Any]) -> dict[str, Any]:
    envelope: dict[str, Any] = {"echo_req": redact(request)}
    if type(request.get("req_id")) is int:  # a bool is none
        envelope["req_id"] = request["req_id"]
    if isinstance(request.get("passthrough"), dict):
        envelope["passthrough"] = request["passthrough"]
    return envelope


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _refused(refusal: Refusal) -> dict[str, Any]:
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.details:
        error["details"] = refusal.details
    return {"error": error}
