"""The admin site the company runs on: its Home, its sidebar and its search are composed from what apps registered."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
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
            *super().get_urls(),
        ]

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
        """The log-in page; in demo mode with the demo log-ins on it."""
        from backoffice.console import home

        logins = home.demo_logins() if configuration().demo else []
        return super().login(request, {"demo_logins": logins, **(extra_context or {})})  # type: ignore[no-any-return]
