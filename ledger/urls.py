"""The ledger's addresses for others than people: collectors that tell us what happened."""

from django.urls import path

from ledger import hooks

urlpatterns = [path("hooks/<slug:name>/", hooks.collector, name="collector_hook")]
