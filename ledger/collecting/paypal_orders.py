"""PayPal: orders (v2) that the client approves at PayPal and that are captured then. PayPal itself checks what it signed."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx
from django.conf import settings

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

Kind = CollectorEvent.Kind
TIMEOUT_SECONDS: Final = 15
PAYPAL: Final = "https://api-m.paypal.com"
# PayPal sends an event again for three days, under the time it first sent it.
TOLERANCE: Final = timedelta(days=4)
# No connection was made, so nothing was written to one.
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_CAPTURES: Final = {"COMPLETED": Outcome.SUCCEEDED, "REFUNDED": Outcome.SUCCEEDED, "PARTIALLY_REFUNDED": Outcome.SUCCEEDED,
                    "DECLINED": Outcome.FAILED, "FAILED": Outcome.FAILED}  # fmt: skip
_REFUNDS: Final = {"COMPLETED": Outcome.SUCCEEDED, "PENDING": Outcome.SUCCEEDED, "FAILED": Outcome.FAILED,
                   "CANCELLED": Outcome.FAILED}  # fmt: skip


class PayPalOrders(Collector):
    """PayPal. The client approves the order over there; PayPal tells us, and we take the money."""

    name = "paypal"
    label = "PayPal"
    method = Method.PAYPAL

    def currencies(self) -> frozenset[str]:
        config = settings.CONFIG
        if not (config.paypal_client_id and config.paypal_secret and config.paypal_webhook_id):
            return frozenset()
        return frozenset(filter(None, (code.strip() for code in config.paypal_currencies.split(","))))

    def begin(self, deposit: Deposit) -> Collect:
        if deposit.external_id:
            order = _ask("GET", f"/v2/checkout/orders/{deposit.external_id}")
        else:
            back = settings.CONFIG.client_url
            order = _ask("POST", "/v2/checkout/orders", key=f"deposit-{deposit.uuid}", given={
                "intent": "CAPTURE",
                "purchase_units": [{
                    "custom_id": deposit.reference, "invoice_id": deposit.reference,
                    "amount": _money(deposit.amount, deposit.currency_id, deposit.currency.exponent),
                }],
                "application_context": {"user_action": "PAY_NOW", "return_url": back, "cancel_url": back},
            })  # fmt: skip
        links = {link["rel"]: link["href"] for link in order.get("links", [])}
        return Collect(order["id"], url=links.get("payer-action") or links.get("approve") or "")

    def status(self, deposit: Deposit) -> Found:
        order = _ask("GET", f"/v2/checkout/orders/{deposit.external_id}")
        if order["status"] == "APPROVED":
            try:
                order = _ask("POST", f"/v2/checkout/orders/{deposit.external_id}/capture", key=f"capture-{deposit.uuid}", given={})  # fmt: skip
            except (
                Refused
            ) as refused:  # the client's own means of payment did not do; they may choose another
                return Found(outcome=Outcome.WAITING, message=refused.message)
        if order["status"] == "VOIDED":
            return Found(outcome=Outcome.FAILED, message="The order was called off")
        captures = _payments(order).get("captures") or []
        return _found(captures[0]) if captures else Found(outcome=Outcome.WAITING)

    def give_up(self, deposit: Deposit) -> bool:
        """An order that is not captured is never paid; nobody but us captures it."""
        return not _payments(_ask("GET", f"/v2/checkout/orders/{deposit.external_id}")).get("captures")

    def refund(self, wish: GiveBack) -> Refund:
        money = _money(wish.amount, wish.deposit.currency_id, wish.deposit.currency.exponent)
        try:
            order = _ask("GET", f"/v2/checkout/orders/{wish.deposit.external_id}")
        except AnswerLost as lost:  # nothing was asked for but the capture's number
            raise NotSent(lost.code, lost.message) from lost
        capture = _payments(order)["captures"][0]["id"]
        made = _ask("POST", f"/v2/payments/captures/{capture}/refund", key=f"give-back-{wish.uuid}", given={
            "amount": money, "custom_id": str(wish.uuid),
        })  # fmt: skip
        return _refund({"amount": money, "custom_id": str(wish.uuid), **made})

    def refunds(self, deposit: Deposit) -> list[Refund]:
        order = _ask("GET", f"/v2/checkout/orders/{deposit.external_id}")
        return [_refund(one) for one in _payments(order).get("refunds") or []]

    def verify(self, headers: Mapping[str, str], body: bytes, *, at: datetime) -> list[Told]:
        try:
            text = body.decode()
            event = json.loads(text)
            sent = datetime.fromisoformat(headers.get("Paypal-Transmission-Time", ""))
            if abs(at - sent) > TOLERANCE:
                raise BadSignature("It was signed too long ago.")
        except (ValueError, TypeError) as found:
            raise BadSignature("It is no event of PayPal's.") from found
        names = {"auth_algo": "Auth-Algo", "cert_url": "Cert-Url", "transmission_id": "Transmission-Id",
                 "transmission_sig": "Transmission-Sig", "transmission_time": "Transmission-Time"}  # fmt: skip
        asked = {name: headers.get(f"Paypal-{header}", "") for name, header in names.items()}
        asked["webhook_id"] = settings.CONFIG.paypal_webhook_id
        # The event goes back to the last byte: PayPal checks the signature over what it sent.
        whole = f'{json.dumps(asked)[:-1]}, "webhook_event": {text}}}'
        try:
            word = _ask("POST", "/v1/notifications/verify-webhook-signature", text=whole)
        except Refused as refused:
            raise BadSignature("PayPal does not know this signature.") from refused
        if word.get("verification_status") != "SUCCESS":
            raise BadSignature("The signature is not PayPal's.")
        try:
            told = _told(event)
        except (KeyError, IndexError, TypeError, ValueError, ArithmeticError) as found:
            raise BadSignature("It is signed, and makes no sense.") from found
        return [told] if told else []


def _told(event: dict[str, Any]) -> Told | None:
    """What an event says; None of a kind we do not follow."""
    kind, what = str(event["event_type"]), event["resource"]
    given: dict[str, Any] = {
        "event_id": str(event["id"])[:128],
        "occurred_at": datetime.fromisoformat(event["create_time"]),
    }
    if kind == "CHECKOUT.ORDER.APPROVED":
        return Told(
            **given,
            kind=Kind.APPROVED,
            payment_id=str(what["id"]),
            reference=str(what["purchase_units"][0].get("custom_id", "")),
        )
    if kind in ("PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED"):
        found = _found(what)
        return Told(
            **given, kind=Kind.SUCCEEDED if kind.endswith("COMPLETED") else Kind.FAILED, payment_id=_order_of(what),
            reference=str(what.get("custom_id", "")), amount=found.amount, currency=found.currency, fee=found.fee or Decimal(0),
            message=found.message,
        )  # fmt: skip
    if kind in ("PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"):
        up = next(link["href"] for link in what["links"] if link["rel"] == "up")
        return Told(
            **given, kind=Kind.REFUNDED, payment_id=_order_of(_capture(up.rstrip("/").rpartition("/")[2]))
        )
    if kind in ("CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.RESOLVED"):
        order = _order_of(_capture(str(what["disputed_transactions"][0]["seller_transaction_id"])))
        outcome = str((what.get("dispute_outcome") or {}).get("outcome_code", ""))
        is_lost = outcome in ("RESOLVED_BUYER_FAVOUR", "RESOLVED_WITH_PAYOUT", "ACCEPTED")
        ended = Kind.DISPUTE_LOST if is_lost else Kind.DISPUTE_WON
        return Told(
            **given, kind=ended if kind.endswith("RESOLVED") else Kind.DISPUTE_OPENED, payment_id=order,
            object_id=str(what["dispute_id"]), amount=_amount(what["dispute_amount"]),
            currency=str(what["dispute_amount"]["currency_code"]), message=str(what.get("reason", ""))[:300],
        )  # fmt: skip
    return None


def _found(capture: dict[str, Any]) -> Found:
    fee: dict[str, Any] = (capture.get("seller_receivable_breakdown") or {}).get("paypal_fee") or {}
    own = bool(fee) and fee["currency_code"] == capture["amount"]["currency_code"]
    return Found(
        outcome=_CAPTURES.get(capture["status"], Outcome.WAITING), amount=_amount(capture["amount"]),
        currency=capture["amount"]["currency_code"], fee=Decimal(fee["value"]) if own else None,
        message=str((capture.get("status_details") or {}).get("reason", ""))[:300],
    )  # fmt: skip


def _refund(what: dict[str, Any]) -> Refund:
    try:
        ours = uuid.UUID(str(what.get("custom_id", "")))
    except ValueError:
        ours = None
    return Refund(
        external_id=what["id"], amount=_amount(what["amount"]), currency=what["amount"]["currency_code"],
        outcome=_REFUNDS.get(what["status"], Outcome.WAITING), ours=ours,
        message=str((what.get("status_details") or {}).get("reason", ""))[:300],
    )  # fmt: skip


def _payments(order: dict[str, Any]) -> dict[str, Any]:
    return order["purchase_units"][0].get("payments") or {}


def _capture(number: str) -> dict[str, Any]:
    return _ask("GET", f"/v2/payments/captures/{number}")


def _order_of(capture: dict[str, Any]) -> str:
    return str(capture["supplementary_data"]["related_ids"]["order_id"])


def _amount(money: dict[str, Any]) -> Decimal:
    return abs(Decimal(str(money["value"])))


def _money(amount: Decimal, currency: str, exponent: int) -> dict[str, str]:
    return {"currency_code": currency, "value": f"{amount:.{exponent}f}"}


def _ask(
    method: str, path: str, *, given: dict[str, Any] | None = None, key: str = "", text: str = ""
) -> dict[str, Any]:
    """Ask PayPal once, and say what is certain where it did not answer well. A token is asked for each time: it is no state of ours."""
    config = settings.CONFIG
    with httpx.Client(base_url=config.paypal_url or PAYPAL, timeout=TIMEOUT_SECONDS) as client:
        try:
            pair = (config.paypal_client_id, config.paypal_secret)
            token = client.post("/v1/oauth2/token", data={"grant_type": "client_credentials"}, auth=pair)
        except httpx.HTTPError as found:  # before the question itself
            raise NotSent("UNREACHABLE", "PayPal cannot be reached.") from found
        if token.status_code != 200:
            raise NotSent("NOT_LET_IN", "PayPal did not let us in.")
        headers = {"Authorization": f"Bearer {token.json()['access_token']}", "Content-Type": "application/json", "Prefer": "return=representation"}  # fmt: skip
        if key:
            headers["PayPal-Request-Id"] = key
        content = text or (json.dumps(given) if given is not None else None)
        try:
            answer = client.request(method, path, content=content, headers=headers)
        except _UNSENT as found:
            raise NotSent("UNREACHABLE", "PayPal cannot be reached.") from found
        except httpx.HTTPError as found:
            raise AnswerLost("NO_ANSWER", "PayPal did not answer.") from found
    return _read(answer)


def _read(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if answer.status_code in (401, 403, 429):
        raise NotSent("NOT_LET_IN", "PayPal did not let us in.")
    if answer.status_code == 409 or answer.status_code >= 500 or not isinstance(body, dict):
        raise AnswerLost(f"HTTP_{answer.status_code}", "PayPal failed while it was asked.")
    if answer.status_code >= 400:
        issue = ((body.get("details") or [{}])[0]).get("issue") or body.get("name") or "REFUSED"
        raise Refused(str(issue)[:64], str(body.get("message") or issue)[:300])
    return body
