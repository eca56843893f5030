"""What the architecture tests look at: our models, our refusals, our source files, as plain lists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.apps import apps
from django.db import models

from backoffice.errors import DomainError

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"

# Lowest first; packages of one row do not know each other.
LAYERS: Final = (
    ("backoffice",),
    ("compliance",),
    ("ledger",),
    ("brokerage",),
    ("affiliates", "lending", "signals_hub"),
    ("jobs",),
    ("graphql_api",),
)
PACKAGES: Final = tuple(name for row in LAYERS for name in row)
LAYER_OF: Final = {name: number for number, row in enumerate(LAYERS) for name in row}


def our_models() -> list[type[models.Model]]:
    """Every model of our packages that has a table and is not made by a library (histories, plain joins)."""
    return [
        model
        for model in apps.get_models()
        if model._meta.app_label in PACKAGES and not is_history(model) and not model._meta.auto_created
    ]


def is_history(model: type[models.Model]) -> bool:
    """Whether a model is the table of old versions that simple-history keeps of another."""
    return hasattr(model, "history_id") or model.__name__.startswith("Historical")


def foreign_keys(model: type[models.Model]) -> list[models.ForeignKey]:
    return [field for field in model._meta.get_fields() if isinstance(field, models.ForeignKey)]


def refusals() -> list[type[DomainError]]:
    """DomainError and everything below it, of our packages, each once, in the order of their names."""
    load_everything()
    found, waiting = set(), [DomainError]
    while waiting:
        refusal = waiting.pop()
        found.add(refusal)
        waiting += refusal.__subclasses__()
    ours = [one for one in found if one.__module__.partition(".")[0] in PACKAGES]
    return sorted(ours, key=lambda one: (one.__module__, one.__name__))


def load_everything() -> None:
    """Import every module of our packages that can be imported without starting something."""
    import importlib

    for path in sources():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not module.endswith(("__main__", ".asgi", ".wsgi")) and ".commands." not in module:
            importlib.import_module(module)


def sources() -> list[Path]:
    """Our Python files, without tests and migrations."""
    return [
        path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
    ]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_docstring(path: Path) -> Iterator[str]:
    """The module, and each public function and class at its top, that does not say what it is.

    A management command says it in `help`, an app's registration and a GraphQL type in what declares them.
    """
    tree = parsed(path)
    where = name_of(path)
    if tree.body and not ast.get_docstring(tree):
        yield where
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_") or ast.get_docstring(node) or _speaks_otherwise(node):
            continue
        yield f"{where}:{node.lineno} {node.name}"


def _speaks_otherwise(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if not isinstance(node, ast.ClassDef):
        return False
    if any(ast.unparse(decorator).startswith("strawberry.") for decorator in node.decorator_list):
        return True
    bases = {ast.unparse(base) for base in node.bases}
    if bases & {"AppConfig", "AdminConfig"}:
        return True
    assigned = {
        target.id
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    return "BaseCommand" in bases and "help" in assigned


def pages() -> list[Path]:
    """README, CHANGELOG and every page in docs/."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def words_of(path: Path, pattern: str) -> set[str]:
    return set(re.findall(pattern, path.read_text()))


def requirements() -> set[str]:
    """The names of requirements/*.in: what we ask for by name, not what that brings along."""
    found = set()
    for path in sorted((ROOT / "requirements").glob("*.in")):
        for line in path.read_text().splitlines():
            named = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
            if named:
                found.add(named[0].lower())
    return found
