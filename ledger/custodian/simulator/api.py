"""What a custodian's customers call, below ``/v1/``, and the desk's calls below ``/simulator/``."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ledger.custodian.simulator.books import Books, Refusal
from ledger.custodian.simulator.faults import Faults, Rule

Answer = tuple[int, Any]
LARGEST_PAGE = 500


class Dropped(Exception):
    """The connection is to be closed without an answer."""


class Api:
    """Routes of a method and a path to an answer; knows nothing of sockets."""

    def __init__(self, books: Books, faults: Faults) -> None:
        self._books, self._faults = books, faults

    def answer(self, method: str, target: str, body: dict[str, Any]) -> Answer:
        """Status and body. :raises Dropped: if nothing is to be answered."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            if parts.path.startswith("/simulator/"):
                return self._desk(method, parts.path.removeprefix("/simulator/"), body)
            return self._customer(method, parts.path.removeprefix("/v1/"), query, body)
        except Refusal as found:
            return found.status, {"code": found.code, "message": found.message}
        except (KeyError, ValueError, ArithmeticError, TypeError) as found:
            return 400, {"code": "BAD_REQUEST", "message": f"that is no request: {found!r}"}

    def _customer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        after, limit = int(query.get("after", 0)), min(int(query.get("limit", 100)), LARGEST_PAGE)
        match (method, path.split("/")):
            case ("POST", ["addresses"]):
                names = (str(body["customer"]), str(body["currency"]), str(body["network"]))
                return self._with_faults("address", names[0], lambda rule: (200, self._books.address(*names)))
            case ("GET", ["changes"]):
                return self._with_faults("changes", "", lambda rule: (200, self._changes(after, limit, rule)))
            case ("POST", ["payouts"]):
                asked = {name: str(body[name]) for name in ("id", "currency", "network", "address", "amount")}
                return self._with_faults("payout", asked["id"], lambda rule: (200, self._pay(asked, rule)))
            case ("GET", ["payouts"]):
                return self._with_faults(
                    "list", "", lambda rule: (200, {"payouts": self._books.payouts(after, limit)})
                )
            case ("GET", ["payouts", public_id]):
                return self._with_faults(
                    "status", unquote(public_id), lambda rule: self._status(unquote(public_id))
                )
            case ("GET", ["balances"]):
                return 200, self._books.balances()
        return 404, {"code": "NO_SUCH_CALL", "message": "there is no such call"}

    def _with_faults(self, call: str, public_id: str, do: Callable[[Rule | None], Answer]) -> Answer:
        rule = self._faults.take(call, public_id)
        match rule.fault if rule else "":
            case "drop":
                raise Dropped
            case "error_before":
                return 503, {"code": "UNAVAILABLE", "message": "try again later"}
            case "refuse":
                raise Refusal("REFUSED", "we do not do this")
            case "slow":
                time.sleep(rule.seconds if rule else 0)
        answer = do(rule)
        match rule.fault if rule else "":
            case "lose_answer":
                raise Dropped
            case "error_after":
                return 500, {"code": "INTERNAL", "message": "something went wrong"}
            case "late":
                time.sleep(rule.seconds if rule else 0)
        return answer

    def _changes(self, after: int, limit: int, rule: Rule | None) -> dict[str, Any]:
        return self._books.changes(0 if rule and rule.fault == "repeat" else after, limit)

    def _pay(self, asked: dict[str, str], rule: Rule | None) -> dict[str, Any]:
        return self._books.pay(asked, fails=rule is not None and rule.fault == "fail")

    def _status(self, public_id: str) -> Answer:
        found = self._books.payout(public_id)
        return (200, found) if found else (404, {"code": "NOT_KNOWN", "message": "we know of no such payout"})

    def _desk(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        match (method, path):
            case ("GET", "health"):
                return 200, {"status": "up", "heights": self._books.heights()}
            case ("POST", "coins"):
                txid, output = str(body.get("txid", "")), int(body.get("output", 0))
                return 201, self._books.receive(str(body["address"]), str(body["amount"]), txid, output)
            case ("POST", "blocks"):
                return 201, self._books.mine(int(body.get("count", 1)))
            case ("POST", "reorganizations"):
                many = self._books.reorganize(
                    str(body["txid"]), comes_back=bool(body.get("comes_back", False))
                )
                return 201, {"outputs": many}
            case ("GET", "books"):
                payouts = self._books.payouts(0, 1_000_000)
                return 200, {"balances": self._books.balances(), "payouts": payouts}
            case ("GET", "faults"):
                return 200, {"faults": self._faults.told()}
            case ("POST", "faults"):
                return 201, self._faults.add(body).__dict__
            case ("DELETE", "faults"):
                self._faults.clear()
                return 200, {"faults": []}
        return 404, {"code": "NO_SUCH_CALL", "message": "there is no such call"}
