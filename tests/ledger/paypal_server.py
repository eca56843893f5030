"""A small PayPal: the calls of Orders v2, Payments v2 and webhook verification that we make, as PayPal publishes them."""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CLIENT = ("paypal-client", "paypal-secret")
WEBHOOK_ID = "WH-NEXUS"


class PayPal:
    """Its books: orders by id, answers by request id, signatures it made."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.signed: dict[str, Any] = {}
        self.numbers = itertools.count(1)
        self.refunds_made = 0
        self.url = ""

    def approve(self, order: str) -> None:
        """The client agrees, at PayPal."""
        self.orders[order]["status"] = "APPROVED"

    def event(self, kind: str, resource: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """An event with the headers of its signature."""
        number = f"WH-{next(self.numbers)}"
        text = json.dumps(
            {
                "id": number,
                "event_type": kind,
                "create_time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "resource": resource,
            }
        )
        self.signed[number] = json.loads(text)
        return text, self.headers(number)

    def headers(self, number: str, at: datetime | None = None) -> dict[str, str]:
        return {
            "Paypal-Transmission-Id": number, "Paypal-Transmission-Time": f"{at or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "Paypal-Transmission-Sig": f"signed-{number}", "Paypal-Auth-Algo": "SHA256withRSA", "Paypal-Cert-Url": "https://paypal/cert",
        }  # fmt: skip

    def capture_of(self, order: str) -> dict[str, Any]:
        return self.orders[order]["purchase_units"][0]["payments"]["captures"][0]

    def answer(self, method: str, path: str, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match [method, *path.strip("/").split("/")]:
            case ["POST", "v1", "notifications", "verify-webhook-signature"]:
                known = self.signed.get(given["transmission_id"])
                good = (
                    known == given["webhook_event"] and given["webhook_id"] == WEBHOOK_ID
                    and given["transmission_sig"] == f"signed-{given['transmission_id']}"
                )  # fmt: skip
                return 200, {"verification_status": "SUCCESS" if good else "FAILURE"}
            case ["POST", "v2", "checkout", "orders"]:
                number = f"ORDER{next(self.numbers)}"
                self.orders[number] = {
                    "id": number, "status": "CREATED", "purchase_units": given["purchase_units"],
                    "links": [{"rel": "approve", "href": f"https://paypal.test/checkoutnow?token={number}"}],
                }  # fmt: skip
                return 201, self.orders[number]
            case ["GET", "v2", "checkout", "orders", number] if number in self.orders:
                return 200, self.orders[number]
            case ["POST", "v2", "checkout", "orders", number, "capture"] if number in self.orders:
                return self._capture(self.orders[number])
            case ["GET", "v2", "payments", "captures", number]:
                return 200, next(
                    self.capture_of(order) for order in self.orders if self.capture_of(order)["id"] == number
                )
            case ["POST", "v2", "payments", "captures", number, "refund"]:
                return self._refund(number, given)
        return 404, {"name": "RESOURCE_NOT_FOUND", "message": "The specified resource does not exist."}

    def _capture(self, order: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if order["status"] != "APPROVED":
            return 422, {
                "name": "UNPROCESSABLE_ENTITY",
                "message": "Not approved.",
                "details": [{"issue": "ORDER_NOT_APPROVED"}],
            }
        order["status"], unit = "COMPLETED", order["purchase_units"][0]
        code = unit["amount"]["currency_code"]
        unit["payments"] = {"captures": [{
            "id": f"CAP{next(self.numbers)}", "status": "COMPLETED", "amount": unit["amount"], "custom_id": unit["custom_id"],
            "seller_receivable_breakdown": {"paypal_fee": {"currency_code": code, "value": "1.50"}},
            "supplementary_data": {"related_ids": {"order_id": order["id"]}},
        }]}  # fmt: skip
        return 201, order

    def _refund(self, capture: str, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        unit = next(
            o["purchase_units"][0] for o in self.orders.values() if self.capture_of(o["id"])["id"] == capture
        )
        self.refunds_made += 1
        made = {
            "id": f"REF{next(self.numbers)}", "status": "COMPLETED", "amount": given["amount"], "custom_id": given.get("custom_id", ""),
            "links": [{"rel": "up", "href": f"https://api.paypal.test/v2/payments/captures/{capture}"}],
        }  # fmt: skip
        unit["payments"].setdefault("refunds", []).append(made)
        return 201, made


@contextlib.contextmanager
def running() -> Iterator[PayPal]:
    """It, answering on this machine."""
    books = PayPal()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond("GET")

        def do_POST(self) -> None:
            self.respond("POST")

        def respond(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/v1/oauth2/token":
                status, found = 200, {"access_token": "A21"}
            else:
                assert self.headers["Authorization"] == "Bearer A21"
                key = self.headers.get("PayPal-Request-Id", "")
                if key in books.answers:
                    status, found = 200, books.answers[key]
                else:
                    status, found = books.answer(method, self.path, json.loads(body) if body else {})
                    if key and status < 400:
                        books.answers[key] = found
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    books.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield books
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
