"""Where collectors tell us what happened: `POST /hooks/<collector>/`. Signed by them, bounded, counted, stored before it is answered."""

import logging
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from backoffice import throttle
from backoffice.addresses import network, of
from ledger.collecting import told
from ledger.collecting.port import BadSignature, ProviderError, collectors

_log = logging.getLogger(__name__)
LARGEST_BODY: Final = 256 * 1024
# Of one network, within a minute: a collector that catches up sends some hundreds.
TRIES: Final = (1200, 60)


@csrf_exempt  # no cookie speaks for anybody here: the signature does
@require_POST
def collector(request: HttpRequest, name: str) -> HttpResponse:
    """200 once it is stored, or was before. Anything else has the collector send it again, but what is not its word."""
    if name not in collectors.names() or not collectors.get(name).currencies():
        raise Http404("Nobody of that name tells us anything.")
    if settings.CONFIG.rate_limits.strip() != "off":
        try:
            throttle.take("hook", network(of(request)), limit=TRIES[0], seconds=TRIES[1])
        except throttle.TooManyRequests as refusal:
            return _answer(429, refusal.message, wait=refusal.wait_seconds)
    said = request.META.get("CONTENT_LENGTH") or "0"
    if not said.isdigit() or int(said[:10]) > LARGEST_BODY or len(body := request.body) > LARGEST_BODY:
        return _answer(413, f"An event has at most {LARGEST_BODY // 1024} KiB.")
    try:
        new = told.receive(name, request.headers, body, at=timezone.now())
    except BadSignature as found:
        _log.warning("a call of no collector's", extra={"collector": name, "why": str(found)})
        return _answer(400, str(found))
    except ProviderError as found:
        _log.warning(
            "a collector's signature cannot be checked", extra={"collector": name, "code": found.code}
        )
        return _answer(503, "Not at the moment. Send it again.")
    return _answer(200, "Stored." if new else "Known.")


def _answer(status: int, text: str, *, wait: int = 0) -> HttpResponse:
    answer = HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
    if wait:
        answer["Retry-After"] = str(wait)
    return answer
