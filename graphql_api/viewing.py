"""Looking as a client: the reference client on a token of minutes."""

import uuid

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from backoffice import sessions
from backoffice.models import User
from compliance import viewing
from compliance.models import Client
from graphql_api.views import reference_client


@never_cache
def page(request: HttpRequest, client_id: uuid.UUID) -> HttpResponse:
    """The reference client as this client sees it; a POST ends the look."""
    if not admin.site.has_permission(request):
        return HttpResponseRedirect(f"{reverse('admin:login')}?next={request.path}")
    staff = request.user
    assert isinstance(staff, User)
    now = timezone.now()
    client = Client.objects.visible_to(staff).filter(uuid=client_id).first()
    if client is None or not staff.has_perm(viewing.PERMISSION):
        raise Http404("There is no such client.")
    session, back = (
        viewing.open_of(client, staff, at=now),
        reverse("admin:compliance_client_change", args=[client.pk]),
    )
    if request.method == "POST" or session is None:
        if session is not None:
            viewing.end(session, at=now)
        messages.success(request, f"You do not look as {client} any more.")
        return HttpResponseRedirect(back)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "POST"])
    until = viewing.until(session)
    look = {"client": client, "until": until, "token": sessions.access_token(session, expires_at=until)}
    return reference_client(request, look=look)
