"""The API's address over HTTP; sockets of the same address are in `websocket`."""

from django.urls import path

from graphql_api import views

urlpatterns = [path("", views.view, name="graphql")]
