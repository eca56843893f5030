"""The reference of `api.py`: what a careful person would write for one list, in one query, without GraphQL."""

import base64
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils import timezone

from backoffice import sessions, urls
from brokerage.models import Trade

COLUMNS = (
    "uuid", "state", "version", "side", "duration", "duration_unit", "contract_id", "placed_at", "settled_at", "entry_spot",
    "exit_spot", "stake", "payout", "profit", "currency", "account__uuid", "account__kind", "account__login_id",
    "account__currency_id", "account__state", "account__is_default", "account__cash__posted", "account__cash__held",
    "instrument__symbol", "instrument__name", "client__first_name",
)  # fmt: skip


def trades(request: HttpRequest) -> JsonResponse:
    session = sessions.authenticate(
        request.headers["Authorization"].removeprefix("Bearer "), at=timezone.now()
    )
    rows = Trade.objects.of_user(session.user).order_by("-uuid").values_list(*COLUMNS)[:51]
    edges = [_edge(row) for row in rows]
    return JsonResponse({"edges": edges[:50], "hasNextPage": len(edges) > 50})


def _edge(row: tuple[Any, ...]) -> dict[str, Any]:
    (uuid, state, version, side, duration, unit, contract, placed, settled, entry, leaving, stake, payout, profit, currency,
     account, kind, login, account_currency, account_state, default, posted, held, symbol, name, _client) = row  # fmt: skip
    return {
        "cursor": base64.urlsafe_b64encode(uuid.bytes).decode().rstrip("="),
        "node": {
            "id": str(uuid), "state": state, "version": version, "side": side, "duration": duration, "durationUnit": unit,
            "contractId": contract and str(contract), "placedAt": placed, "settledAt": settled,
            "entrySpot": entry and f"{entry.normalize():f}", "exitSpot": leaving and f"{leaving.normalize():f}",
            "stake": _money(stake, currency), "payout": _money(payout, currency), "profit": _money(profit, currency),
            "account": {
                "id": str(account), "kind": kind, "loginId": login, "currency": account_currency, "state": account_state,
                "isDefault": default, "balance": _money(posted, account_currency), "available": _money(posted - held, account_currency),
            },
            "instrument": {"symbol": symbol, "name": name},
        },
    }  # fmt: skip


def _money(amount: Decimal | None, currency: str) -> dict[str, str] | None:
    return None if amount is None else {"amount": f"{amount:.2f}", "currency": currency}


urlpatterns = [*urls.urlpatterns, path("bench/trades", trades)]
