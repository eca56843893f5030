"""GraphQL over HTTP: one query a request, of bounded size."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from strawberry.django.views import GraphQLView

from graphql_api.schema import schema

LARGEST_BODY = 256 * 1024
CLIENT_PAGE_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"


@method_decorator(csrf_exempt, name="dispatch")  # no cookie speaks for anybody here: the token is in a header
class ApiView(GraphQLView):
    """The API's address. GET shows GraphiQL where introspection is on; queries are POSTed as JSON."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
            return problem("TOO_LARGE", f"A request has at most {LARGEST_BODY // 1024} KiB.", status=413)
        return super().dispatch(request, *args, **kwargs)

    def render_graphql_ide(self, request: HttpRequest) -> HttpResponse:
        if not settings.CONFIG.graphql_introspection:
            return problem("NOT_FOUND", "There is nothing to see here.", status=404)
        return super().render_graphql_ide(request)


def problem(code: str, message: str, *, status: int) -> JsonResponse:
    """An answer in the shape of a GraphQL error, for what never reaches the schema."""
    return JsonResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status=status)


view = ApiView.as_view(schema=schema, allow_queries_via_get=False)


def client_page(request: HttpRequest) -> HttpResponse:
    """The reference client: plain HTML and JavaScript over the public API, and nothing else."""
    answer = render(request, "client/index.html")
    answer["Content-Security-Policy"] = CLIENT_PAGE_POLICY
    return answer
