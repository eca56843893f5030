"""Every address of the one origin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from backoffice import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("graphql_api.urls")),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", health.show_metrics),
]
