"""Payments out: made when a withdrawal is agreed to, handed to a provider once, and followed until somebody knows its end.

Before the wire sees anything, the intent is stored and the money has left the wallet for *payments out*. A lost answer
is never paid again: the payment is *unknown* until the provider, a statement or a person with evidence says what became
of it.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import Q

from backoffice import keys, metrics
from backoffice.errors import InvalidInput, MoveNotAllowed
from backoffice.wake import wake_swept
from backoffice.who import By
from compliance import decisions
from ledger import accounts, holds, journal, payment_states, reasons, withdrawals
from ledger.drafts import LOWER
from ledger.models import Account, Book, Payment, Withdrawal
from ledger.providers import Answer, AnswerLost, CalledProvider, NotSent, Outcome, Refused, providers
from ledger.withdrawals import SUBJECT

State = Payment.State
Clock = Callable[[], datetime]
BY: Final = By.system("payments")
LOST: Final = "The provider's answer was lost."


@metrics.verb("payment.begin")
def begin(payment: Payment, *, by: By, at: datetime) -> Payment:
    """Store that it is about to leave: the hold becomes an entry (wallet to payments out, the fee to income).

    Commit this before the wire sees anything. Locks the withdrawal, then the payment, then the accounts.

    :raises MoveNotAllowed: if it is not queued, or its withdrawal not agreed to any more.
    """
    with transaction.atomic():
        owner, row = _both(payment)
        payment_states.check_may_move(row, State.SENDING)
        journal.post_many([draft_of(owner, at=at, key=f"payment:{row.uuid}:begun")], by=by)
        row.sent_at, row.asked_at, row.sending_until = at, at, at + Payment.SENDING_FOR
        row.problem_code = row.problem = ""
        withdrawals.move(owner, Withdrawal.State.PAYING, "withdrawal.paying", by=by, at=at)
        return payment_states.move(row, State.SENDING, "payment.begun", by=by, at=at)


def draft_of(withdrawal: Withdrawal, *, at: datetime | None = None, key: str = "preview") -> journal.Draft:
    """The entry by which its money leaves the wallet: out of the hold, to payments out, the fee to income."""
    lines = [
        journal.Line(withdrawal.wallet_id, LOWER, withdrawal.amount),
        journal.credit(payments_out(withdrawal.currency_id), withdrawal.net),
    ]
    if withdrawal.fee:
        lines.append(journal.credit(fee_account(withdrawal.currency_id), withdrawal.fee))
    return journal.Draft(
        kind="withdrawal", lines=lines, at=at or withdrawal.changed_at, key=key, reference=withdrawal.reference,
        narration=f"{withdrawal.get_method_display()} {withdrawal.reference}", subject=(SUBJECT, withdrawal.uuid),
        client_id=withdrawal.client.uuid, captures=[(withdrawal.hold, withdrawal.amount)],
    )  # fmt: skip


def push(payment: Payment, *, now: Clock) -> Payment:
    """Do what comes next: hand it over, or ask what became of it. Safe to call at any time, by two at once."""
    row = Payment.objects.select_related("withdrawal__client", "currency", "withdrawal__beneficiary").get(
        pk=payment.pk
    )
    if row.batch_id is not None or row.is_final or row.state == State.CONFIRMED or _is_manual(row):
        return row
    if row.state == State.QUEUED:
        try:
            row = begin(row, by=BY, at=now())
        except MoveNotAllowed:
            return Payment.objects.get(pk=row.pk)  # another worker took it, or it was called off
        return _hand_over(row, now=now)
    if not _is_ours_to_ask(row, at=now()):
        return row
    if row.state == State.SENDING and row.unsent_at is not None:
        Payment.objects.filter(pk=row.pk).update(
            unsent_at=None
        )  # before the wire: a crash from here on is an answer lost
        return _hand_over(row, now=now)
    if row.state == State.SENDING:
        # Whoever was at it died on the way: it may have left.
        row = mark_unknown(row, code="NO_ANSWER", message=LOST, at=now())
    return _ask(row, now=now)


def take_on(payment: Payment, *, by: By, at: datetime) -> Payment:
    """A person says that they pay it by hand, before they do: its money leaves the wallet, and nobody else can pay it too.

    What became of it that person says by `settle`. Locks the withdrawal, the payment, then the accounts.

    :raises MoveNotAllowed: if it is not paid by hand, or somebody took it on before.
    """
    check_may_take_on(payment)
    with transaction.atomic():
        row = begin(payment, by=by, at=at)
        return taken(row, "", by=by, at=at)


def check_may_take_on(payment: Payment) -> None:
    """:raises MoveNotAllowed: if it is not one that waits for a person."""
    if not _is_manual(payment) or payment.state != State.QUEUED:
        raise MoveNotAllowed(f"The payment is: {payment.get_state_display().lower()}.")


def _hand_over(row: Payment, *, now: Clock) -> Payment:
    try:
        answer = _called(row).send(row)
    except Refused as found:
        return fail(row, code=found.code, message=found.message, by=BY, at=now())
    except NotSent as found:
        return _unsent(row, found, at=now())
    except AnswerLost as found:
        return mark_unknown(row, code=found.code, message=found.message or LOST, at=now())
    return take(row, answer, by=BY, at=now())


def _ask(row: Payment, *, now: Clock) -> Payment:
    try:
        answer = _called(row).status(row)
    except (NotSent, AnswerLost) as found:
        Payment.objects.filter(pk=row.pk).update(problem_code=found.code, sending_until=None)
        return row
    return take(row, answer, by=BY, at=now())


def take(payment: Payment, answer: Answer, *, by: By, at: datetime) -> Payment:
    """Record what a provider says of a payment that was handed to it. Said again, nothing changes."""
    match answer.outcome:
        case Outcome.CONFIRMED:
            return confirm(
                payment,
                evidence=answer.message or "The provider says so.",
                reference=answer.reference,
                by=by,
                at=at,
            )
        case Outcome.FAILED:
            return fail(payment, code=answer.code, message=answer.message, by=by, at=at)
        case Outcome.RETURNED:
            return bring_back(payment, code=answer.code, message=answer.message, by=by, at=at)
        case Outcome.SENT:
            return taken(payment, answer.reference, by=by, at=at)
        case _:
            Payment.objects.filter(pk=payment.pk).update(sending_until=None)
            return payment


def taken(payment: Payment, reference: str, *, by: By, at: datetime) -> Payment:
    """The provider has it, under this name of its own. Again, nothing changes."""
    with transaction.atomic():
        row = payment_states.locked(payment)
        if row.state in (State.SENDING, State.UNKNOWN):
            row.provider_ref, row.sending_until = reference[:128] or row.provider_ref, None
            row.problem_code = row.problem = ""
            return payment_states.move(row, State.SENT, "payment.sent", by=by, at=at)
        Payment.objects.filter(pk=row.pk).update(sending_until=None)
        return row


@metrics.verb("payment.confirm")
def confirm(
    payment: Payment,
    *,
    evidence: str,
    by: By,
    at: datetime,
    reference: str = "",
    source: Account | None = None,
) -> Payment:
    """It was paid: payments out is settled from the account it left. Confirmed again, nothing changes.

    `source` is where the money left from; without, the provider's own account. Locks withdrawal, payment, accounts.

    :raises MoveNotAllowed: if it has not been handed over, or ended otherwise.
    """
    with transaction.atomic():
        owner, row = _both(payment)
        if row.state == State.CONFIRMED:
            return row
        payment_states.check_may_move(row, State.CONFIRMED)
        account = source or providers.get(row.provider).settles_from(row)
        _post(row, owner, "withdrawal_paid", "confirmed", [
            journal.debit(payments_out(row.currency_id), row.amount), journal.credit(account, row.amount),
        ], by=by, at=at)  # fmt: skip
        row.provider_ref, row.evidence = reference[:128] or row.provider_ref, evidence.strip()[:300]
        row.problem_code, row.problem, row.sending_until = "", "", None
        owner.paid_at = at
        withdrawals.move(owner, Withdrawal.State.PAID, "withdrawal.paid", by=by, at=at)
        return payment_states.move(row, State.CONFIRMED, "payment.confirmed", by=by, at=at)


@metrics.verb("payment.fail")
def fail(payment: Payment, *, code: str, message: str, by: By, at: datetime, reason: str = "") -> Payment:
    """It was certainly not paid: the money is in the wallet again, the fee too. Failed again, nothing changes.

    :raises MoveNotAllowed: if it was confirmed, or ended otherwise.
    """
    with transaction.atomic():
        owner, row = _both(payment)
        if row.state == State.FAILED:
            return row
        payment_states.check_may_move(row, State.FAILED)
        owner.problem_code, owner.problem = code[:64], message.strip()[:300]
        owner.told = f"It could not be paid: {_because(code, message)}. Your money is available again."
        if row.state == State.QUEUED:
            owner.hold = holds.release(owner.hold, by=by, at=at).hold
        else:
            lines = [journal.debit(payments_out(row.currency_id), row.amount)]
            if owner.fee:
                lines.append(journal.debit(fee_account(row.currency_id), owner.fee))
            lines.append(journal.credit(owner.wallet_id, owner.amount))
            _post(row, owner, "withdrawal_failed", "failed", lines, by=by, at=at, narration=message)
        decisions.release((SUBJECT, owner.uuid), by=by, at=at)
        withdrawals.move(owner, Withdrawal.State.FAILED, "withdrawal.failed", by=by, at=at, code=code)
        row.problem_code, row.problem, row.sending_until = code[:64], message.strip()[:300], None
        return payment_states.move(
            row, State.FAILED, "payment.failed", by=by, at=at, code=code, reason=reason
        )


@metrics.verb("payment.bring_back")
def bring_back(
    payment: Payment,
    *,
    code: str,
    message: str,
    by: By,
    at: datetime,
    amount: Decimal | None = None,
    source: Account | None = None,
) -> Payment:
    """Money that was paid came back: the wallet gets what had left for the beneficiary; the fee stays ours.

    `amount` is what came, if banks on the way kept some of it; `source` where it came in, without: the provider's own
    account. What comes back before it was confirmed is confirmed first: whoever returns it has paid it. Again, nothing
    changes.

    :raises MoveNotAllowed: if it failed, or never left.
    """
    with transaction.atomic():
        owner, row = _both(payment)
        if row.state == State.RETURNED:
            return row
        if row.state in (State.SENDING, State.UNKNOWN, State.SENT):
            confirm(row, evidence="It came back, so it had been paid.", by=by, at=at)
            owner, row = _both(payment)
        payment_states.check_may_move(row, State.RETURNED)
        account = source or providers.get(row.provider).settles_from(row)
        came = row.amount if amount is None else amount
        _post(row, owner, "withdrawal_returned", "returned", [
            journal.debit(account, came), journal.credit(owner.wallet_id, came),
        ], by=by, at=at, narration=message)  # fmt: skip
        decisions.release((SUBJECT, owner.uuid), by=by, at=at)
        owner.problem_code, owner.problem = code[:64], message.strip()[:300]
        owner.told = f"The money came back: {_because(code, message)}. It is available again, less what banks kept of it."
        withdrawals.move(owner, Withdrawal.State.RETURNED, "withdrawal.returned", by=by, at=at, code=code)
        row.problem_code, row.problem = code[:64], message.strip()[:300]
        return payment_states.move(row, State.RETURNED, "payment.returned", by=by, at=at, code=code)


def mark_unknown(payment: Payment, *, code: str, message: str, at: datetime) -> Payment:
    """The answer was lost: nobody sends it again. Only evidence moves it on. Said again, nothing changes."""
    with transaction.atomic():
        row = payment_states.locked(payment)
        if row.state == State.SENDING:
            row.problem_code, row.problem, row.sending_until = code[:64], message[:300], None
            return payment_states.move(row, State.UNKNOWN, "payment.unknown", by=BY, at=at, code=code)
        return row


def settle(
    payment: Payment, *, was_paid: bool, evidence: str, by: By, at: datetime, key: str, reference: str = ""
) -> Payment:
    """A person says by evidence what became of a payment whose answer was lost, that a provider never told of, or that
    was paid by hand. `reference` is what whoever paid it calls it. The same key again changes nothing.

    :raises InvalidInput: if there is no evidence, or another payment has the reference already.
    :raises MoveNotAllowed: if it is neither unknown nor with a provider.
    """
    if len(evidence.strip()) < 5:
        raise InvalidInput("Say by which evidence: a statement, a message of the provider.", field="evidence")
    with transaction.atomic():
        _, row = _both(payment)
        is_known = keys.is_claimed(by=by, verb="payment.settle", key=key)
        keys.claim(by=by, verb="payment.settle", key=key, content=f"{row.uuid}|{was_paid}", at=at)
        if is_known:
            return row
        check_may_settle(row)
        theirs = Payment.objects.filter(provider=row.provider, provider_ref=reference.strip()).exclude(
            pk=row.pk
        )
        if reference.strip() and theirs.exists():
            raise InvalidInput("Another payment has this reference already.", field="reference")
        if was_paid:
            return confirm(row, evidence=evidence, reference=reference.strip(), by=by, at=at)
        return fail(row, code="NOT_PAID", message="It was not paid.", reason=evidence, by=by, at=at)


def check_may_settle(payment: Payment) -> None:
    """:raises MoveNotAllowed: if nothing is uncertain about it."""
    if payment.state not in (State.UNKNOWN, State.SENT):
        raise MoveNotAllowed(f"The payment is: {payment.get_state_display().lower()}.")


def sweep(*, now: Clock) -> int:
    """Wake whatever a lost nudge or a dead worker left behind; how many."""
    by_hand = [one.name for one in providers if one.is_manual]
    rows = Payment.objects.to_push(now()).exclude(provider__in=by_hand)
    numbers = list(rows.values_list("pk", flat=True)[:200])
    for number in numbers:
        wake_swept("payouts.push", number)
    return len(numbers)


def payments_out(currency: str) -> Account:
    """What has left wallets and is not seen to have left us yet."""
    return accounts.house(Book.REAL, currency, "payments_out", Account.Kind.LIABILITY)


def fee_account(currency: str) -> Account:
    """What withdrawals bring us in fees."""
    return accounts.house(Book.REAL, currency, "withdrawal_fees", Account.Kind.INCOME)


def _because(code: str, message: str) -> str:
    """The reason as the client reads it: of a code that banks use what it means, else what was said, in one line."""
    said = reasons.of(code) or " ".join(message.split()).strip(" .")[:160] or "no reason was given"
    return said[0].lower() + said[1:]


def _called(row: Payment) -> CalledProvider:
    provider = providers.get(row.provider)
    assert isinstance(provider, CalledProvider), (
        "payments by file are in a batch, and people take on those by hand"
    )
    return provider


def _is_manual(row: Payment) -> bool:
    return row.provider in providers.names() and providers.get(row.provider).is_manual


def _is_ours_to_ask(row: Payment, *, at: datetime) -> bool:
    """Claim it for a while: two at once would both call it lost, or ask twice."""
    free = Q(sending_until=None) | Q(sending_until__lt=at)
    return Payment.objects.filter(free, pk=row.pk, state=row.state).update(
        sending_until=at + Payment.SENDING_FOR, asked_at=at
    ) == 1  # fmt: skip


def _unsent(payment: Payment, found: NotSent, *, at: datetime) -> Payment:
    """Certainly nothing left: the sweep hands it over again. Only whoever made the call can say so."""
    Payment.objects.filter(pk=payment.pk, state=State.SENDING).update(
        unsent_at=at, sending_until=None, problem_code=found.code[:64],
        problem=(found.message or "The provider cannot be reached; nothing has left, and it is tried again.")[:300],
    )  # fmt: skip
    return Payment.objects.get(pk=payment.pk)


def _both(payment: Payment) -> tuple[Withdrawal, Payment]:
    """Withdrawal and payment, locked in that order."""
    owner = withdrawals.locked(payment.withdrawal_id)
    row = payment_states.locked(payment)
    row.withdrawal = owner
    return owner, row


def _post(
    row: Payment, owner: Withdrawal, kind: str, step: str, lines: list[journal.Line], *, by: By, at: datetime,
    narration: str = "",
) -> None:  # fmt: skip
    journal.post(
        kind=kind, lines=lines, by=by, at=at, key=f"payment:{row.uuid}:{step}", reference=owner.reference,
        narration=(narration or f"{owner.get_method_display()} {owner.reference}")[:400], subject=(SUBJECT, owner.uuid),
        client_id=owner.client.uuid,
    )  # fmt: skip
