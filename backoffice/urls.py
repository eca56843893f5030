"""Every address of the one origin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from backoffice import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path(
        "", include("graphql_api.urls")
    ),  # before the console: a page of it lies below the console's address
    path("", include("ledger.urls")),
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", health.show_metrics),
]
