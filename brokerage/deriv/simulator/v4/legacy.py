"""What generation v4 tells of the old platform: whether a user was moved, and what happened before."""

from typing import Final

from brokerage.deriv.simulator.books import Line, Move, Refusal, login_number
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.moves import Moves
from brokerage.deriv.simulator.v4.asked import Asked, Body, Handler
from brokerage.deriv.simulator.v4.shown import moved

NUMBERS: Final = ("date_from", "date_to", "limit", "offset")


class Legacy:
    """The handlers below ``/legacy``."""

    def __init__(self, engine: Engine, moves: Moves) -> None:
        self._engine, self._moves = engine, moves

    def handlers(self) -> dict[str, tuple[str, Handler]]:
        """By the end of their path, with the name that faults know them by."""
        return {
            "migration-status": ("migration_status", self._status),
            "accounts": ("legacy_accounts", self._accounts),
            "statement": ("legacy_statement", self._statement),
        }

    def _status(self, asked: Asked) -> tuple[int, Body]:
        """Whether the token's owner was moved from generation v3 to v4."""
        return 200, {"status": self._moves.status(asked.holder.user_id)}

    def _check_moved(self, user_id: int) -> None:
        if self._moves.status(user_id) in ("pending", "failed"):
            raise Refusal("MigrationNotComplete", "The user's move is under way or has failed.")

    def _accounts(self, asked: Asked) -> tuple[int, Body]:
        """The accounts the token's owner had on the old platform, by their logins there."""
        user_id = asked.holder.user_id
        self._check_moved(user_id)
        return 200, {
            "loginids": {
                move.was: [
                    {
                        "account_id": login_number(move.was),
                        "currency": self._engine.account(move.login_id).currency,
                    }
                ]
                for move in self._moves.of_user(user_id)
            }
        }

    def _statement(self, asked: Asked) -> tuple[int, Body]:
        """What moved on the old platform, newest first; from ``date_from``, before ``date_to``."""
        self._check_moved(asked.holder.user_id)
        given = asked.request.query_params
        moves = {move.was: move for move in self._moves.of_user(asked.holder.user_id)}
        move = moves.get(given.get("loginid", ""))
        if move is None:
            raise Refusal("AccountNotFound", "The token's owner had no such account.")
        try:
            numbers = {name: int(given[name]) for name in NUMBERS if name in given}
        except ValueError:
            raise Refusal("ValidationError", "A date, limit or offset is a whole number.") from None
        if any(value < 0 for value in numbers.values()) or not 1 <= numbers.get("limit", 100) <= 999:
            raise Refusal("ValidationError", "A date, limit or offset is out of range.")
        lines = self._engine.store.lines(
            move.login_id,
            numbers.get("date_from"),
            numbers["date_to"] - 1 if "date_to" in numbers else None,
            None,
            numbers.get("limit", 100),
            numbers.get("offset", 0),
            kind=given.get("action_type"),
            up_to=move.last_transaction,
        )
        rows = [self._row(line, move) for line in lines]
        return 200, {"transactions": rows, "count": len(rows)}

    def _row(self, line: Line, move: Move) -> Body:
        contract = self._engine.store.contract(line.contract_id) if line.contract_id is not None else None
        return {
            "transaction_id": line.transaction_id,
            "account_id": login_number(move.was),
            "loginid": move.was,
            "action_type": line.action if line.action in ("buy", "sell") else moved(line.amount),
            "amount": str(line.amount),
            "balance_after": str(line.balance_after),
            "transaction_time": line.at,
            "contract_id": line.contract_id,
            "currency": self._engine.account(move.login_id).currency,
            "shortcode": contract and contract.shortcode,
            "bet_class": contract and "higher_lower_bet",
            "bet_type": contract and contract.terms.contract_type,
            "symbol": contract and contract.terms.symbol,
            "app_id": contract and contract.app_id,
        }
