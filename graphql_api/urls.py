"""The API's address over HTTP (its sockets are in `websocket`) and the reference client."""

from django.urls import path

from graphql_api import viewing, views

urlpatterns = [
    path("graphql/", views.view, name="graphql"),
    path("client/", views.client_page, name="client"),
    # Below the console's address, so that a session of the console stands behind it.
    path("admin/view-as/<uuid:client_id>/", viewing.page, name="view_as_client"),
]
