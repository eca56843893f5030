"""The API's address over HTTP (its sockets are in `websocket`) and the reference client."""

from django.urls import path

from graphql_api import views

urlpatterns = [
    path("graphql/", views.view, name="graphql"),
    path("client/", views.client_page, name="client"),
]
