"""Which migrations may not run while the release before still serves: `python -m tests.schema_changes`.

The rules are those of django-migration-linter, on PostgreSQL's SQL, with its warnings as errors; four are our own, where
it looks at the first statement only or not at all. What was before the first release and what somebody reviewed stands
in `schema_changes.txt`. docs/operations.md says how to change a schema without stopping.
"""

import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

LIST = Path(__file__).with_suffix(".txt")
ROOT = Path(__file__).resolve().parent.parent
ALL = "*"
# Neither how functions name their arguments nor what cannot be undone stops anybody (code is rolled back, the schema
# stays); indexes and constraints are looked at by our own rules.
LEFT_OUT = ("RUNPYTHON_REVERSIBLE", "RUNSQL_REVERSIBLE", "RUNPYTHON_ARGS_NAMING_CONVENTION", "RUNPYTHON_MODEL_VARIABLE_NAME", "CREATE_INDEX_EXCLUSIVE",
            "CREATE_INDEX", "ADD_UNIQUE")  # fmt: skip
_TABLE = r'(?:IF NOT EXISTS )?(?:"?public"?\.)?"?(\w+)"?'
# A statement that holds a lock while it reads a whole table, unless the table is new.
OURS = (
    ("CREATE_INDEX", rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON (?:ONLY )?{_TABLE}",
     "builds an index while nobody can write (AddIndexConcurrently)"),
    ("ADD_UNIQUE", rf"ALTER TABLE (?:ONLY )?{_TABLE} ADD CONSTRAINT \S+ (?:UNIQUE|PRIMARY KEY|EXCLUDE)(?!.* USING INDEX)",
     "adds a unique constraint while nobody can write (unique index concurrently first)"),
    ("ADD_CHECK", rf"ALTER TABLE (?:ONLY )?{_TABLE} ADD CONSTRAINT \S+ CHECK(?!.*NOT VALID)",
     "checks all rows while nobody can read (AddConstraintNotValid, then ValidateConstraint in the next migration)"),
    ("ADD_FOREIGN_KEY", rf"ALTER TABLE (?:ONLY )?{_TABLE} ADD CONSTRAINT \S+ FOREIGN KEY(?!.*NOT VALID)",
     "checks all rows while nobody can write (NOT VALID, then VALIDATE CONSTRAINT in the next migration)"),
)  # fmt: skip


def reviewed(path: Path = LIST) -> dict[str, set[str]]:
    """By migration (`app.name`): the rules it may break.

    :raises ValueError: if a reviewed exception gives no reason.
    """
    found: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        given, _, reason = line.partition("#")
        if not given.strip():
            continue
        name, *codes = given.split()
        if codes and len(reason.split()) < 3:
            raise ValueError(f"{name}: a reviewed exception says why it does no harm.")
        found[name] = set(codes) or {ALL}
    return found


def problems(migration: Migration, before: ProjectState, allowed: Collection[str] = ()) -> list[str]:
    """What is wrong with a migration, a sentence for each rule it breaks and may not."""
    if ALL in allowed:
        return []
    statements = _statements(migration, before)
    found = dict.fromkeys([*_of_the_library(migration, statements), *_of_ours(statements)])
    return [
        f"{migration.app_label}.{migration.name}: {code}: {said}"
        for code, said in found
        if code not in allowed
    ]


def check(path: Path = LIST) -> list[str]:
    """Everything that is wrong with our migrations, and with the list itself."""
    loader = MigrationLoader(connection)
    ours = {
        app.label
        for app in apps.get_app_configs()
        if Path(app.path).is_relative_to(ROOT) and ".venv" not in app.path
    }
    allowed = reviewed(path)
    found, seen = [], set()
    for app, name in sorted(loader.graph.nodes):
        key = f"{app}.{name}"
        if app not in ours:
            continue
        seen.add(key)
        if ALL not in allowed.get(key, set()):
            before = loader.project_state((app, name), at_end=False)
            found += problems(loader.graph.nodes[app, name], before, allowed.get(key, set()))
    return found + [
        f"{path.name} names {key}, which does not exist." for key in sorted(allowed.keys() - seen)
    ]


def _statements(migration: Migration, before: ProjectState) -> list[str]:
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        migration.apply(before.clone(), editor, collect_sql=True)
    # One statement, one line; comments say what cannot be told as SQL.
    text = "\n".join(line for line in editor.collected_sql if not line.startswith("--"))
    return [" ".join(statement.split()) for statement in re.split(r";\s*(?:\n|$)", text) if statement.strip()]


@cache
def _linter() -> Any:
    from django_migration_linter.migration_linter import MigrationLinter

    return MigrationLinter(exclude_migration_tests=LEFT_OUT, no_output=True, analyser_string="postgresql")


def _of_the_library(migration: Migration, statements: list[str]) -> Iterator[tuple[str, str]]:
    from django_migration_linter.sql_analyser.analyser import analyse_sql_statements
    from django_migration_linter.sql_analyser.postgresql import PostgresqlAnalyser

    parts: list[Any] = [
        analyse_sql_statements(PostgresqlAnalyser, statements, LEFT_OUT),
        _linter().analyse_data_migration(migration),
    ]
    for errors, _, warnings in parts:
        for issue in [*errors, *warnings]:
            yield issue.code, issue.message


def _of_ours(statements: Sequence[str]) -> Iterator[tuple[str, str]]:
    new = {made[1] for made in (re.match(rf"CREATE TABLE {_TABLE}", each) for each in statements) if made}
    for statement in statements:
        for code, pattern, said in OURS:
            found = re.search(pattern, statement)
            if found and found[1] not in new:
                yield code, f"{found[1]}: {said}"


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
    import django

    from manage import serve_what_is_missing

    serve_what_is_missing("migrate")
    django.setup()
    wrong = check()
    if wrong:
        advice = "Not while the release before still serves. See docs/operations.md, “Changing the schema without stopping”."
        sys.stdout.write("\n".join([*wrong, advice, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
