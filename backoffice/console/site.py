"""The admin site the company runs on: its Home, its sidebar and its search are composed from what apps registered."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from backoffice.configuration import configuration


class Console(UnfoldAdminSite):
    """Where staff work. Clients' users never get in: `is_staff` is said of nobody else."""

    site_header = site_title = "Nexus Back Office"
    index_title = "Home"
    login_template = "console/login.html"
    enable_nav_sidebar = True

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Home: what waits for me, what moves, what is wrong."""
        from backoffice.console import home  # it needs the admins, which need this site

        request.current_app = self.name
        context = {
            **self.each_context(request),
            "title": self.index_title,
            **home.composed(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "console/home.html", context)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("stuck/", self.admin_view(self.stuck), name="stuck"),
            path("health/", self.admin_view(self.health), name="health"),
            path("security/", self.admin_view(self.security), name="security"),
            path("security/close/", self.admin_view(self.end_elevation), name="end_elevation"),
            *super().get_urls(),
        ]

    def has_permission(self, request: HttpRequest) -> bool:
        """Whoever has an open session of the console; the middleware has looked at the person a moment ago."""
        return getattr(request, "console_session", None) is not None and super().has_permission(request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from backoffice.staff import elevation

        session, now = getattr(request, "console_session", None), timezone.now()
        until = session.elevated_until if session and elevation.is_open(session, at=now) else None
        return {**super().each_context(request), "elevated_until": until}

    def stuck(self, request: HttpRequest) -> HttpResponse:
        """Everything past the age its state allows, of whatever kind, with its owner and what comes next."""
        from backoffice.admin import unfinished

        return self._at_a_glance(request, "Stuck", unfinished.INTRO, unfinished.page)

    def health(self, request: HttpRequest) -> HttpResponse:
        """Every vital sign with its limit, and how long things take; for whoever may see the jobs."""
        from backoffice.admin import health_page

        if not request.user.has_perm(health_page.PERMISSION):
            raise PermissionDenied
        return self._at_a_glance(request, "Health", health_page.INTRO, health_page.page)

    def _at_a_glance(
        self, request: HttpRequest, title: str, intro: str, parts: Callable[[HttpRequest], list[Any]]
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        context = {**self.each_context(request), "title": title, "intro": intro, "parts": parts(request)}
        return TemplateResponse(request, "console/glance.html", context)

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The command palette: pages, clients, trades, references. Nothing is cached, so permissions hold at once."""
        from backoffice.console import finding

        term = (request.GET.get("s") or "").strip()[:100]
        if len(term) < 2:
            return HttpResponse()
        hits = finding.found(request, term, self.get_sidebar_list(request))
        page = Paginator(hits, max(len(hits), 1)).page(1)
        return TemplateResponse(
            request,
            "unfold/helpers/command_results.html",
            {"page_obj": page.paginator, "results": page, "page_counter": 0, "execution_time": 0},
            headers={"HX-Trigger": "search"},
        )

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The log-in page in its steps; in demo mode with the demo log-ins on it."""
        from backoffice.console import entering, home

        logins = home.demo_logins() if configuration().demo else []
        context = {**self.each_context(request), "demo_logins": logins, **(extra_context or {})}
        return never_cache(entering.page)(request, context)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Ends the session behind the page as well as the browser's."""
        from backoffice.console import entering

        if request.method == "POST":
            entering.leave(request)
        return super().logout(request, extra_context)  # type: ignore[return-value]

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A new password of one's own ends all one's other sessions."""
        from backoffice.console.own_password import OwnPasswordView

        context = {**self.each_context(request), **(extra_context or {})}
        return OwnPasswordView.as_view(extra_context=context)(request)  # type: ignore[return-value]

    def security(self, request: HttpRequest) -> HttpResponse:
        """The reader's own second factor, and where they are logged in."""
        from backoffice.console import security  # it needs the admins, which need this site

        return never_cache(security.page)(request, self.each_context(request))

    def end_elevation(self, request: HttpRequest) -> HttpResponse:
        """Closes the most sensitive actions before their time."""
        from backoffice.console import security

        return security.end_elevation(request)
