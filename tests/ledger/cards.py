"""Cards for tests: a Stripe-compatible server of its own process, payments at it, and events signed the way Stripe signs."""

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import stripe
from django.test import Client as Browser

from compliance.models import Client
from ledger.collecting import taking, told
from ledger.models import CollectorEvent, Deposit
from tests import world
from tests.ledger import payments as desk

BY, NOW, D = desk.BY, desk.NOW, desk.D
SECRET_KEY, WEBHOOK_SECRET = "sk_test_nexus", "whsec_nexus"
_numbers = itertools.count(1)


def now():
    return NOW


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """`localstripe`, listening; its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"],
        env={**os.environ, "TMPDIR": str(folder)}, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/v1/balance", auth=(SECRET_KEY, ""))
                break
            except httpx.ConnectError:
                assert process.poll() is None and time.monotonic() < deadline, "localstripe does not start"
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def configured(config: Any, url: str) -> Any:
    return config.model_copy(
        update={"stripe_url": url, "stripe_secret_key": SECRET_KEY, "stripe_webhook_secret": WEBHOOK_SECRET,
                "stripe_publishable_key": "pk_test_nexus"}
    )  # fmt: skip


class Shop:
    """What the client's app and Stripe do with a payment."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, **data: Any) -> dict[str, Any]:
        found = httpx.request(method, f"{self.url}/v1/{path}", data=data or None, auth=(SECRET_KEY, ""))
        assert found.status_code in (200, 402), found.text
        return found.json()

    def pay(self, deposit: Deposit, number: str = "4242424242424242") -> dict[str, Any]:
        """The client confirms the payment with a card; the payment as it then is."""
        card = self.call("POST", "payment_methods", **{
            "type": "card", "card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123",
        })  # fmt: skip
        self.call("POST", f"payment_intents/{deposit.external_id}", payment_method=card["id"])
        self.call("POST", f"payment_intents/{deposit.external_id}/confirm")
        return self.intent(deposit)

    def intent(self, deposit: Deposit) -> dict[str, Any]:
        return self.call("GET", f"payment_intents/{deposit.external_id}")

    def refund(self, deposit: Deposit, amount: int) -> dict[str, Any]:
        """A refund that somebody makes at Stripe, not by us."""
        return self.call("POST", "refunds", payment_intent=deposit.external_id, amount=str(amount))


def event(kind: str, what: dict[str, Any], number: str = "") -> dict[str, Any]:
    return {
        "id": number or f"evt_{next(_numbers)}", "object": "event", "type": kind, "created": int(time.time()), "data": {"object": what},
    }  # fmt: skip


def dispute(
    deposit: Deposit, cents: int, *, status: str = "needs_response", number: str = "", fee: int = 1500
) -> dict[str, Any]:
    return {
        "id": number or f"dp_{deposit.pk}", "object": "dispute", "amount": cents, "currency": deposit.currency_id.lower(),
        "payment_intent": deposit.external_id, "reason": "fraudulent", "status": status,
        "balance_transactions": [{"amount": -cents, "fee": fee}],
    }  # fmt: skip


def tell(
    given: dict[str, Any], *, secret: str = WEBHOOK_SECRET, signed_at: int | None = None, **changed: Any
) -> Any:
    """Send an event to our address over HTTP, signed as Stripe signs; the answer."""
    body = json.dumps(given)
    header = stripe.WebhookSignature.generate_signature_header(body, secret, signed_at)
    return Browser().post(
        "/hooks/stripe/",
        data=changed.get("body", body),
        content_type="application/json",
        headers={"Stripe-Signature": header},
    )


def applied(given: dict[str, Any]) -> CollectorEvent:
    """Tell it and have it applied."""
    assert tell(given).status_code == 200
    row = CollectorEvent.objects.get(event_id=given["id"])
    return told.apply(row, now=now)


def begun(of: Client | None = None, amount: str = "100.00", currency: str = "EUR") -> Deposit:
    """A deposit by card that Stripe has and nobody has paid yet."""
    row = taking.create(
        of or desk.client(), method="card", currency=currency, amount=amount, by=BY, at=NOW, key=world.key()
    )
    assert taking.begin(row, by=BY, now=now) is not None
    return Deposit.objects.select_related("client", "currency", "wallet").get(pk=row.pk)


def paid(shop: Shop, of: Client | None = None, amount: str = "100.00") -> Deposit:
    """A deposit by card whose money came, by Stripe's signed word."""
    row = begun(of, amount)
    found = applied(event("payment_intent.succeeded", shop.pay(row)))
    assert found.state == "applied", found.reason
    return Deposit.objects.select_related("client", "currency", "wallet").get(pk=row.pk)
