"""GraphQL over HTTP: one operation a request, of bounded size, and an answer of one shape whatever was sent."""

import json
from typing import Any, Final

from cross_web import HTTPException
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from strawberry.django.views import GraphQLView
from strawberry.http import GraphQLRequestData

from backoffice.errors import DomainError
from backoffice.headers import EXPLORER_POLICY
from graphql_api import persisted
from graphql_api.schema import masked, schema

LARGEST_BODY: Final = 256 * 1024
CLIENT_PAGE_POLICY: Final = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"


class NotServed(Exception):
    """A request that never reaches the schema: its status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@method_decorator(csrf_exempt, name="dispatch")  # no cookie speaks for anybody here: the token is in a header
class ApiView(GraphQLView):
    """The API's address. GET shows GraphiQL where introspection is on; operations are POSTed as JSON."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.run(request=request)
        except NotServed as found:
            return problem(found.code, str(found), status=found.status)
        except DomainError as refusal:
            return problem(refusal.code, refusal.message, status=400)
        except HTTPException as found:
            return problem("BAD_REQUEST", found.reason, status=found.status_code)

    def is_request_allowed(self, request: Any) -> bool:
        if request.method not in ("GET", "POST") or (request.method == "GET" and request.query_params):
            raise NotServed(405, "METHOD_NOT_ALLOWED", "Operations are POSTed, not put into the address.")
        return True

    def parse_http_body(self, request: Any) -> GraphQLRequestData:
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            raise NotServed(415, "UPLOADS_OFF", "No operation takes files.")
        if kind != "application/json":
            raise NotServed(415, "JSON_EXPECTED", "A request is JSON: application/json.")
        try:
            given = persisted.decoded(_body(request.request))
        except json.JSONDecodeError:
            raise NotServed(400, "BAD_REQUEST", "The request is not JSON.") from None
        if isinstance(given, list):
            raise NotServed(400, "BATCHING_OFF", "One operation a request, no lists of them.")
        asked = persisted.asked(given)
        return GraphQLRequestData(
            query=asked["query"],
            variables=asked.get("variables"),
            operation_name=asked.get("operationName"),
            extensions=asked.get("extensions"),
        )

    def process_result(self, request: HttpRequest, result: Any) -> Any:
        if result.errors:  # what failed while it was prepared has not been masked yet
            result.errors = [masked(error) for error in result.errors]
        return super().process_result(request, result)

    def render_graphql_ide(self, request: HttpRequest) -> HttpResponse:
        if not settings.CONFIG.graphql_introspection:
            raise NotServed(404, "NOT_FOUND", "There is nothing to see here.")
        answer = super().render_graphql_ide(request)
        answer["Content-Security-Policy"] = EXPLORER_POLICY
        return answer


def _body(request: HttpRequest) -> bytes:
    """:raises NotServed: if it is larger than a request may be; what is said to be is not read."""
    said = request.META.get("CONTENT_LENGTH") or "0"
    if not said.isdigit() or int(said[:10]) > LARGEST_BODY or len(body := request.body) > LARGEST_BODY:
        raise NotServed(413, "TOO_LARGE", f"A request has at most {LARGEST_BODY // 1024} KiB.")
    return body


def problem(code: str, message: str, *, status: int) -> JsonResponse:
    """An answer in the shape of a GraphQL error, for what never reaches the schema."""
    return JsonResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status=status)


view = ApiView.as_view(schema=schema, allow_queries_via_get=False)


def client_page(request: HttpRequest) -> HttpResponse:
    """The reference client: plain HTML and JavaScript over the public API, and nothing else."""
    return reference_client(request)


def reference_client(request: HttpRequest, **given: Any) -> HttpResponse:
    """The page of the reference client; staff who look as a client bring a token with it."""
    answer = render(request, "client/index.html", {"documents": json.dumps(persisted.ids()), **given})
    answer["Content-Security-Policy"] = CLIENT_PAGE_POLICY
    return answer
