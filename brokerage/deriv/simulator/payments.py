"""Payment agents: users through whom others pay in and out.

A user's wallet is the first real account in USD they opened, an agent's too. A transfer moves money from the agent's
wallet to the client's at once. A withdrawal takes it out of the client's wallet when it is accepted, and a little later
puts it into the agent's, or back where it came from. Everyone lives in one country.
"""

import hmac
import secrets
from dataclasses import replace
from decimal import Decimal
from math import floor
from typing import Final

from brokerage.deriv.simulator.books import Account, Agent, Line, Payment, Refusal, VerificationCode
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.nicknames import user_of
from brokerage.deriv.simulator.payment_store import Kind, PaymentStore

RESIDENCE: Final = "id"
CURRENCY: Final = "USD"
CODE_PAUSE_SECONDS: Final = 60
CODE_LIFE_SECONDS: Final = 360
MOST_WRONG_CODES: Final = 5


class Payments:
    """The agents and what was paid through them. All of it is in the books: nothing is kept in memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = PaymentStore(engine.store)

    # ── who ──────────────────────────────────────────────────────────────────────────────────────────

    def wallet(self, user_id: int) -> Account | None:
        """Where the user's money is paid in and out; ``None`` if they have no real account in USD."""
        accounts = self._engine.accounts_of(user_id)
        return next((one for one in accounts if not one.is_demo and one.currency == CURRENCY), None)

    def make_agent(self, agent: Agent) -> Agent:
        """Make a user an agent, or change what is known of them; ``agent_id`` and ``created_at`` stay what they were."""
        known = self.agent_of(agent.user_id)
        if known is None:
            agent = replace(agent, agent_id=max((one.agent_id for one in self.agents()), default=0) + 1)
        else:
            agent = replace(agent, agent_id=known.agent_id, created_at=known.created_at)
        self._store.save_agent(agent)
        return agent

    def agents(self) -> list[Agent]:
        """The one with the lowest number first."""
        return self._store.agents()

    def agent(self, agent_id: int) -> Agent | None:
        return next((agent for agent in self.agents() if agent.agent_id == agent_id), None)

    def agent_of(self, user_id: int) -> Agent | None:
        """The agent that the user is."""
        return next((agent for agent in self.agents() if agent.user_id == user_id), None)

    def is_shown(self, agent: Agent, user_id: int) -> bool:
        """Whether the agent is in the user's list: active, and listed or known from a transfer."""
        return agent.is_active and (agent.is_listed or self._store.has_received(user_id, agent.agent_id))

    # ── money ────────────────────────────────────────────────────────────────────────────────────────

    def transfer(
        self,
        user_id: int,
        to_nickname: str,
        amount: Decimal,
        currency: str,
        request_id: str | None,
        at: float,
    ) -> Payment:
        """From the agent's wallet to the client's, done when this returns. A ``request_id`` is good for one transfer."""
        self._check_unused("transfer", user_id, request_id)
        agent = self._able(self.agent_of(user_id), currency)
        client = user_of(to_nickname)
        if client is None or not self._engine.accounts_of(client):
            raise Refusal("NicknameNotFound", "Nobody goes by this nickname.")
        if client == user_id:
            raise Refusal("AgentSelfTransfer", "An agent does not pay themselves.")
        giver, taker = self.wallet(user_id), self.wallet(client)
        if taker is None:
            raise Refusal("NoClientWallet", "The client has no wallet.")
        self._check_served(agent)
        if giver is None or giver.balance < amount:
            raise Refusal("WalletFundsInsufficient", "The agent's wallet does not cover the amount.")
        payment = Payment(
            self._store.next_payment(), "transfer", user_id, client, agent.agent_id, request_id, amount, "complete", at,
        )  # fmt: skip
        movements = [(giver.login_id, "withdrawal", -amount), (taker.login_id, "deposit", amount)]
        return self._book(movements, payment, at)

    def request_code(
        self, user_id: int, agent_id: int, amount: Decimal, currency: str, at: float, *, at_any_time: bool
    ) -> VerificationCode:
        """A new code for one withdrawal; the one before is worth nothing. ``at_any_time``: also shortly after it."""
        self._eligible(user_id, agent_id, currency)
        known = self._store.code(user_id)
        if known is not None and at < known.next_request_at and not at_any_time:
            raise Refusal(
                "OtpRateLimitExceeded",
                "A code was sent a moment ago.",
                {"next_request_at": known.next_request_at},
            )
        now = floor(at)
        code = VerificationCode(
            user_id, agent_id, amount, f"{secrets.randbelow(10**6):06}", now + CODE_PAUSE_SECONDS,
            now + CODE_LIFE_SECONDS,
        )  # fmt: skip
        self._store.save_code(code)
        return code

    def code_of(self, user_id: int) -> VerificationCode | None:
        """What would have been mailed to the user last, unless it is used."""
        return self._store.code(user_id)

    def withdraw(
        self,
        user_id: int,
        agent_id: int,
        amount: Decimal,
        currency: str,
        code: str,
        request_id: str | None,
        at: float,
    ) -> Payment:
        """Take the amount out of the user's wallet; a while later the agent has it. ``request_id`` is good for one."""
        self._check_unused("withdrawal", user_id, request_id)
        agent = self._eligible(user_id, agent_id, currency)
        wallet = self.wallet(user_id)
        if wallet is None:
            raise Refusal("NoClientWallet", "There is no wallet to withdraw from.")
        self._check_served(agent)
        if agent.withdrawal_minimum is not None and amount < agent.withdrawal_minimum:
            raise Refusal(
                "WithdrawalAmountMinimum", f"The agent pays out {agent.withdrawal_minimum} at least."
            )
        if agent.withdrawal_maximum is not None and amount > agent.withdrawal_maximum:
            raise Refusal(
                "WithdrawalAmountMaximum", f"The agent pays out {agent.withdrawal_maximum} at most."
            )
        if wallet.balance < amount:
            raise Refusal("WalletFundsInsufficient", "The wallet does not cover the amount.")
        self._check_code(user_id, agent_id, amount, code, at)
        payment = Payment(
            self._store.next_payment(), "withdrawal", user_id, user_id, agent_id, request_id, amount, "pending",
            at + self._engine.rules.withdrawal_delay,
        )  # fmt: skip
        return self._book([(wallet.login_id, "withdrawal", -amount)], payment, at, uses_code=True)

    def withdrawal(self, user_id: int, request_id: str) -> Payment:
        """The user's, or one through the agent that the user is. Raises ``Refusal`` if there is none."""
        agent = self.agent_of(user_id)
        found = self._store.payment(
            "withdrawal", request_id, user_id, None if agent is None else agent.agent_id
        )
        if found is None:
            raise Refusal("RequestIDNotFound", "No withdrawal goes by this name.")
        return found

    def advance(self, at: float) -> None:
        """Let time pass: pending withdrawals that have waited long enough are decided."""
        for payment in self._store.pending(at):
            agent = self.agent(payment.agent_id)
            taker = None if agent is None or not agent.is_active else self.wallet(agent.user_id)
            giver = self.wallet(payment.client)
            assert giver is not None, "an account is never closed"
            if agent is not None and agent.rejects:
                taker, status = giver, "rejected"
            else:
                taker, status = (giver, "failed") if taker is None else (taker, "complete")
            movements = [(taker.login_id, "deposit", payment.amount)]
            self._book(movements, replace(payment, status=status), at)

    # ── checks ───────────────────────────────────────────────────────────────────────────────────────

    def _book(
        self,
        movements: list[tuple[str, str, Decimal]],
        payment: Payment,
        at: float,
        *,
        uses_code: bool = False,
    ) -> Payment:
        """A payment goes by the number of the first line that its client sees of it."""
        booked = payment

        def write(lines: list[Line]) -> None:
            nonlocal booked
            if not payment.transaction_id:
                booked = replace(payment, transaction_id=lines[-1].transaction_id)
            self._store.save_payment(booked)
            if uses_code:
                self._store.forget_code(payment.client)

        self._engine.book_together(movements, at, write)
        return booked

    def _check_unused(self, kind: Kind, user_id: int, request_id: str | None) -> None:
        if request_id is not None and self._store.payment(kind, request_id, user_id, None) is not None:
            raise Refusal("RequestIDUsed", "This request_id was used before.")

    def _eligible(self, user_id: int, agent_id: int, currency: str) -> Agent:
        agent = self.agent(agent_id)
        if agent is not None and agent.is_active and agent.user_id == user_id:
            raise Refusal("AgentSelfWithdraw", "An agent does not withdraw through themselves.")
        return self._able(agent, currency)

    def _able(self, agent: Agent | None, currency: str) -> Agent:
        if agent is None:
            raise Refusal("AgentIDInvalid", "There is no such payment agent.")
        if not agent.is_active:
            raise Refusal("AgentInactive", "The payment agent is not active.")
        if currency != CURRENCY:
            raise Refusal("AgentCurrencyUnsupported", f"Payment agents here deal in {CURRENCY}.")
        return agent

    def _check_served(self, agent: Agent) -> None:
        if RESIDENCE not in agent.countries:
            raise Refusal("ClientCountryUnsupported", "The agent does not serve the client's country.")

    def _check_code(self, user_id: int, agent_id: int, amount: Decimal, code: str, at: float) -> None:
        known = self._store.code(user_id)
        if known is not None and known.wrong >= MOST_WRONG_CODES:
            raise Refusal("OtpValidationRateLimitExceeded", "Too many wrong codes; ask for another one.")
        if (
            known is not None
            and at <= known.expires_at
            and hmac.compare_digest(known.code.encode(), code.encode())
            and (known.agent_id, known.amount) == (agent_id, amount)
        ):
            return
        if known is not None:
            self._store.save_code(replace(known, wrong=known.wrong + 1))
        raise Refusal("InvalidOTP", "The code is not the one that was sent for this withdrawal.")
