"""The table of calls in `docs/deriv.md`: what there is of Deriv's protocol here, in the simulator and in the typed client.

The simulator's calls and requests are asked for by their own registries, with the first line of each handler's docstring;
what the typed client uses is read out of its source.
"""

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from brokerage.deriv import rest, rest_agents, rest_applications, socket_client, v3, v4

CLIENTS: Final = (socket_client, v3, v4)
REST_CLIENTS: Final = (rest, rest_agents, rest_applications)

_HEADING: Final = """### Over a socket

| call | what | v3 | v4 | typed client |
|---|---|---|---|---|
"""
_OVER_HTTP: Final = """
### Over HTTP, in generation v4

Faults know a request by the name in the second column.

| request | name | what | typed client |
|---|---|---|---|
"""
_NOT_SERVED: Final = """
### Not served

| call of v4 | why |
|---|---|
"""


def render() -> str:
    """The three tables."""
    from brokerage.deriv.simulator.v3.generation import V3
    from brokerage.deriv.simulator.v4.calls import NOT_SERVED
    from brokerage.deriv.simulator.v4.generation import V4

    used = calls_used({*V3.calls, *V4.calls})
    rows = [
        _row(
            f"`{name}`",
            _first_line((V3.calls.get(name) or V4.calls[name]).handler),
            *("yes" if name in generation.calls else "" for generation in (V3, V4)),
            _methods(used[name]),
        )
        for name in sorted({*V3.calls, *V4.calls})
    ]
    asked = requests_used()
    over_http = [
        _row(f"`{method} {path}`", f"`{name}`" if name else "", what, _methods(_using(asked, method, path)))
        for method, path, name, what in requests_served()
    ]
    left_out = [_row(f"`{name}`", reason) for name, reason in sorted(NOT_SERVED.items())]
    return "".join([_HEADING, *rows, _OVER_HTTP, *over_http, _NOT_SERVED, *left_out])


def calls_used(calls: set[str]) -> Mapping[str, list[str]]:
    """The typed client's methods that send each call: a request is a dictionary that begins with the call's name."""
    used: dict[str, list[str]] = defaultdict(list)
    for module in CLIENTS:
        for method in _methods_of(module):
            for node in ast.walk(method):
                first = node.keys[0] if isinstance(node, ast.Dict) and node.keys else None
                if isinstance(first, ast.Constant) and first.value in calls:
                    used[str(first.value)].append(method.name)
    return used


def requests_served() -> Iterator[tuple[str, str, str, str]]:
    """The simulator's requests over HTTP: method, path, the name that faults know, and what it does."""
    from starlette.routing import Route

    from brokerage.deriv.simulator.clock import Clock
    from brokerage.deriv.simulator.engine import Engine
    from brokerage.deriv.simulator.prices import Market
    from brokerage.deriv.simulator.rules import Rules
    from brokerage.deriv.simulator.server import Options, application
    from brokerage.deriv.simulator.store import Store

    engine = Engine(Store(None), Market(1, Clock.begin(0, 1)), Rules())
    for route in application(engine, Options()).routes:
        if isinstance(route, Route) and not route.path.startswith("/simulator/"):
            (method,) = (route.methods or set()) - {"HEAD"}
            name = "" if route.name.startswith("_") else route.name
            yield method, route.path, name, _first_line(route.endpoint)
    engine.store.close()


# Sign-in at the venue has a client of its own, `oauth`, which makes its paths another way.
OAUTH: Final = [
    ("GET", "/oauth2/authorize", "authorization_url"),
    ("POST", "/oauth2/token", "exchange"),
    ("POST", "/oauth2/token", "refresh"),
    ("POST", "/oauth2/revoke", "revoke"),
]


def requests_used() -> list[tuple[str, str, str]]:
    """The typed client's requests over HTTP: method, path with `{}` for what varies, and its own method's name."""
    return OAUTH + [
        (str(ast.literal_eval(node.args[0])), path.partition("?")[0], method.name)
        for module in REST_CLIENTS
        for method in _methods_of(module)
        for node in ast.walk(method)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_ask"
        for path in [_path(node.args[1], method, module)]
    ]


def _methods_of(module: ModuleType) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public methods of the module's classes."""
    for node in ast.parse(inspect.getsource(module)).body:
        for method in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_"):
                yield method


def _path(node: ast.expr, method: ast.AST, module: ModuleType) -> str:
    """A path as it stands in the source: constants of the module are put in, all else is `{}`."""
    if isinstance(node, ast.Name):
        (node,) = (
            one.value
            for one in ast.walk(method)
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == ast.unparse(node)
        )
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(_part(part, module) for part in parts)


def _part(node: ast.expr, module: ModuleType) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    inside = node.value if isinstance(node, ast.FormattedValue) else node
    constant = getattr(module, inside.id, None) if isinstance(inside, ast.Name) else None
    return constant if isinstance(constant, str) else "{}"


def _using(asked: list[tuple[str, str, str]], method: str, path: str) -> list[str]:
    """The typed client's methods whose request comes to this path."""
    return [
        name
        for verb, wanted, name in asked
        if verb == method and re.fullmatch(re.escape(wanted).replace(r"\{\}", "[^/]+"), path)
    ]


def _first_line(handler: Any) -> str:
    text = inspect.getdoc(handler)
    if not text:
        raise ValueError(f"{handler} does not say what it does")
    return text.splitlines()[0].replace("``", "`").rstrip(".")


def _methods(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
