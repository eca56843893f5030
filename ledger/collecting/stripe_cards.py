"""Stripe: cards, by payment intents. Webhooks are signed with a secret that Stripe shares with us.

Its library takes thirty megabytes, so it is imported where it is first used: in no process of a deployment without keys.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.conf import settings

from ledger.collecting.amounts import minor, of_minor
from ledger.collecting.port import (
    AnswerLost,
    BadSignature,
    Collect,
    Collector,
    Found,
    GiveBack,
    NotSent,
    Outcome,
    Refund,
    Refused,
    Told,
)
from ledger.models import CollectorEvent, Deposit, Method

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")
Kind = CollectorEvent.Kind
TIMEOUT_SECONDS: Final = 15
TOLERANCE: Final = timedelta(seconds=300)
_SIGNED_AT: Final = re.compile(r"(?:^|,)\s*t=(\d{1,12})(?:,|$)")
_OVER: Final = {"canceled": Outcome.FAILED, "succeeded": Outcome.SUCCEEDED}
_REFUNDS: Final = {"failed": Outcome.FAILED, "canceled": Outcome.FAILED, "pending": Outcome.SUCCEEDED,
                   "succeeded": Outcome.SUCCEEDED}  # fmt: skip
_DISPUTES: Final = {"won": Kind.DISPUTE_WON, "lost": Kind.DISPUTE_LOST}


class StripeCards(Collector):
    """Cards by Stripe. The client's app confirms the payment with the secret of it; Stripe tells us what became of it."""

    name = "stripe"
    label = "Stripe"
    method = Method.CARD

    def currencies(self) -> frozenset[str]:
        config = settings.CONFIG
        if not (config.stripe_secret_key and config.stripe_webhook_secret):
            return frozenset()
        return frozenset(filter(None, (code.strip() for code in config.stripe_currencies.split(","))))

    def begin(self, deposit: Deposit) -> Collect:
        if deposit.external_id:
            intent = _ask(lambda: _client().v1.payment_intents.retrieve(deposit.external_id))
        else:
            intent = _ask(lambda: _client().v1.payment_intents.create(
                {
                    "amount": minor(deposit.amount, deposit.currency.exponent), "currency": deposit.currency_id.lower(),
                    "metadata": {"reference": deposit.reference, "deposit": str(deposit.uuid)},
                },
                {"idempotency_key": f"deposit-{deposit.uuid}"},
            ))  # fmt: skip
        return Collect(
            intent.id,
            client_secret=intent.client_secret or "",
            publishable_key=settings.CONFIG.stripe_publishable_key,
        )

    def status(self, deposit: Deposit) -> Found:
        intent = _plain(_ask(lambda: _client().v1.payment_intents.retrieve(
            deposit.external_id, {"expand": ["latest_charge.balance_transaction"]}
        )))  # fmt: skip
        error = intent.get("last_payment_error") or {}
        return Found(
            outcome=_OVER.get(intent["status"], Outcome.WAITING),
            amount=of_minor(intent.get("amount_received") or intent["amount"], intent["currency"]),
            currency=intent["currency"].upper(), fee=_fee(intent), message=str(error.get("message") or "")[:300],
        )  # fmt: skip

    def give_up(self, deposit: Deposit) -> bool:
        try:
            intent = _ask(lambda: _client().v1.payment_intents.cancel(deposit.external_id))
        except Refused:  # it cannot be cancelled where it is: it is asked about again
            intent = _ask(lambda: _client().v1.payment_intents.retrieve(deposit.external_id))
        return bool(intent.status == "canceled")

    def refund(self, wish: GiveBack) -> Refund:
        made = _ask(lambda: _client().v1.refunds.create(
            {
                "payment_intent": wish.deposit.external_id, "amount": minor(wish.amount, wish.deposit.currency.exponent),
                "metadata": {"give_back": str(wish.uuid)},
            },
            {"idempotency_key": f"give-back-{wish.uuid}"},
        ))  # fmt: skip
        return _refund(_plain(made))

    def refunds(self, deposit: Deposit) -> list[Refund]:
        def listed() -> list[Any]:
            page = _client().v1.refunds.list({"payment_intent": deposit.external_id, "limit": 100})
            return list(page.auto_paging_iter())

        return [_refund(_plain(one)) for one in _ask(listed)]

    def verify(self, headers: Mapping[str, str], body: bytes, *, at: datetime) -> list[Told]:
        import stripe

        header = headers.get("Stripe-Signature", "")
        try:
            text = body.decode()
            stripe.WebhookSignature.verify_header(text, header, settings.CONFIG.stripe_webhook_secret)
            event = json.loads(text)
        except (stripe.SignatureVerificationError, ValueError) as found:
            raise BadSignature("The signature is not Stripe's.") from found
        signed = _SIGNED_AT.search(header)
        # The library would compare with the clock of this machine; whose clock counts is the caller's to say.
        if signed is None or abs(at - datetime.fromtimestamp(int(signed[1]), UTC)) > TOLERANCE:
            raise BadSignature("It was signed too long ago.")
        try:
            told = _told(event)
        except (KeyError, TypeError, ValueError, AttributeError) as found:
            raise BadSignature("It is signed, and makes no sense.") from found
        return [told] if told else []


def _told(event: dict[str, Any]) -> Told | None:
    """What an event says; None of a kind we do not follow."""
    kind, what = str(event["type"]), event["data"]["object"]
    given: dict[str, Any] = {
        "event_id": str(event["id"])[:128], "occurred_at": datetime.fromtimestamp(int(event["created"]), UTC),
        "currency": str(what.get("currency") or "").upper()[:12],
    }  # fmt: skip
    if kind in ("payment_intent.succeeded", "payment_intent.canceled"):
        is_paid = kind.endswith("succeeded")
        paid = what.get("amount_received") or what["amount"]
        return Told(
            **given, kind=Kind.SUCCEEDED if is_paid else Kind.FAILED, payment_id=str(what["id"]), reference=_reference(what),
            amount=of_minor(paid, given["currency"]), message=str(what.get("cancellation_reason") or "")[:300],
        )  # fmt: skip
    payment = str(what.get("payment_intent") or "")
    if kind == "charge.refunded" or kind.startswith(("refund.", "charge.refund.")):
        return Told(**given, kind=Kind.REFUNDED, payment_id=payment)
    if kind in ("charge.dispute.created", "charge.dispute.closed", "charge.dispute.funds_withdrawn"):
        ended = kind.endswith("closed")
        if str(what["status"]).startswith("warning_"):  # an inquiry: no money was taken
            return None
        if ended and what["status"] not in _DISPUTES:  # closed before money was taken
            return None
        lines = what.get("balance_transactions") or []
        fee = sum(int(line.get("fee") or 0) for line in lines if int(line.get("amount") or 0) < 0)
        return Told(
            **given, kind=_DISPUTES[what["status"]] if ended else Kind.DISPUTE_OPENED, payment_id=payment,
            object_id=str(what["id"]), amount=of_minor(what["amount"], given["currency"]),
            fee=of_minor(fee, given["currency"]), message=str(what.get("reason") or "")[:300],
        )  # fmt: skip
    return None


def _reference(what: dict[str, Any]) -> str:
    return str((what.get("metadata") or {}).get("reference") or "")[:16]


def _refund(what: dict[str, Any]) -> Refund:
    asked = (what.get("metadata") or {}).get("give_back")
    return Refund(
        external_id=what["id"], amount=of_minor(what["amount"], what["currency"]), currency=what["currency"].upper(),
        outcome=_REFUNDS.get(what["status"], Outcome.WAITING), ours=uuid.UUID(asked) if asked else None,
        message=str(what.get("failure_reason") or "")[:300],
    )  # fmt: skip


def _fee(intent: dict[str, Any]) -> Decimal | None:
    """What Stripe charges us for the payment, where its balance transaction is known and in the payment's own currency."""
    charge = intent.get("latest_charge")
    line = charge.get("balance_transaction") if isinstance(charge, dict) else None
    if not isinstance(line, dict) or line.get("currency") != intent["currency"]:
        return None
    return of_minor(int(line["fee"]), line["currency"])


def _plain(found: Any) -> dict[str, Any]:
    plain: dict[str, Any] = found.to_dict()
    return plain


def _ask(call: Callable[[], T]) -> T:
    """Ask Stripe once, and say what is certain where it did not answer well."""
    import stripe

    try:
        return call()
    except stripe.APIConnectionError as found:
        if _is_unsent(found):
            raise NotSent("UNREACHABLE", "Stripe cannot be reached.") from found
        raise AnswerLost("NO_ANSWER", "Stripe did not answer.") from found
    except stripe.IdempotencyError as found:
        raise AnswerLost("KEY_IN_USE", "Stripe is at it already.") from found
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.RateLimitError) as found:
        raise NotSent(str(found.code or "NOT_LET_IN").upper()[:64], "Stripe did not let us in.") from found
    except (stripe.CardError, stripe.InvalidRequestError) as found:
        if found.http_status == 409:
            raise AnswerLost("KEY_IN_USE", "Stripe is at it already.") from found
        raise Refused(
            str(found.code or "REFUSED").upper()[:64], str(found.user_message or found)[:300]
        ) from found
    except stripe.StripeError as found:
        raise AnswerLost(f"HTTP_{found.http_status or 0}", "Stripe failed while it was asked.") from found


def _is_unsent(found: Exception) -> bool:
    """Whether it failed before there was a connection, so that nothing was written to one. A reset, or no answer in
    time, proves nothing.
    """
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    cause = found.__cause__
    inner = cause.args[0] if cause is not None and cause.args else None
    return isinstance(getattr(inner, "reason", inner), NewConnectionError | ConnectTimeoutError)


def _client() -> "stripe.StripeClient":
    return _made(settings.CONFIG.stripe_secret_key, settings.CONFIG.stripe_url)


@lru_cache(maxsize=4)
def _made(key: str, url: str) -> "stripe.StripeClient":
    """Retries are ours to decide, so the library makes none."""
    import stripe

    return stripe.StripeClient(
        key, base_addresses={"api": url} if url else None, max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
    )  # fmt: skip
