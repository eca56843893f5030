"""What browsers are told about every answer: where its parts may come from, that nobody frames it, whether it is kept.

The API's answers are data: nothing in them is ever loaded or run. The console's pages need inline scripts and styles
and evaluated expressions (Unfold's Alpine), but nothing from another origin. A view that needs a policy of its own
sets it, and it stays.
"""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse

DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_OURS: Final = (
    "default-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; style-src 'self' 'unsafe-inline'; "
)
CONSOLE_POLICY: Final = f"{_OURS}script-src 'self' 'unsafe-inline' 'unsafe-eval'"
EXPLORER_POLICY: Final = f"{_OURS}script-src 'self' 'unsafe-eval'; worker-src 'self' blob:"
PERMISSIONS: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
# What is somebody's own and must not stay in a cache on the way or on a shared computer.
_PRIVATE: Final = ("/graphql/", "/admin/", "/client/")


class HeadersMiddleware:
    """Adds the headers to whatever is answered, refusals and errors included."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        is_console = request.path.startswith("/admin/")
        answer.headers.setdefault("Content-Security-Policy", CONSOLE_POLICY if is_console else DATA_POLICY)
        answer.headers.setdefault("Permissions-Policy", PERMISSIONS)
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        if request.path.startswith(_PRIVATE):
            answer.headers.setdefault("Cache-Control", "no-store")
        return answer
