"""A migration that would stop the release before is refused; one that would not passes; exceptions say why."""

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader

from tests import schema_changes

AN_INDEX = models.Index(fields=["narration"], name="entry_by_narration")
A_CHECK = models.CheckConstraint(condition=models.Q(reference__gte=""), name="entry_reference")


@pytest.fixture(scope="module", autouse=True)
def outside_of_transactions(django_db_setup, django_db_blocker):
    """Indexes are built concurrently outside of them only. Nothing here writes."""
    with django_db_blocker.unblock():
        yield
        connection.close()


@pytest.fixture(scope="module")
def state(outside_of_transactions):
    return MigrationLoader(connection).project_state()


def found(state, *operations, atomic=True, allowed=()):
    migration = migrations.Migration("9999_tried", "ledger")
    migration.operations, migration.atomic = operations, atomic
    return {line.split(": ")[1] for line in schema_changes.problems(migration, state, allowed)}


REFUSED = {
    "drops a column": ("DROP_COLUMN", [migrations.RemoveField("entry", "narration")]),
    "drops a table": ("DROP_TABLE", [migrations.DeleteModel("hold")]),
    "renames a column": ("RENAME_COLUMN", [migrations.RenameField("entry", "narration", "told")]),
    "renames a table": ("RENAME_TABLE", [migrations.AlterModelTable("hold", "held")]),
    "changes a type": ("ALTER_COLUMN", [migrations.AlterField("entry", "narration", models.IntegerField())]),
    "adds a column that must be filled": ("NOT_NULL", [migrations.AddField("entry", "extra", models.IntegerField(default=0))]),
    "makes a column one that must be filled": (
        "NOT_NULL", [migrations.RunSQL("ALTER TABLE ledger_hold ALTER COLUMN captured_amount SET NOT NULL", migrations.RunSQL.noop)]),
    "builds an index while nobody can write": ("CREATE_INDEX", [migrations.AddIndex("entry", AN_INDEX)]),
    "builds an index after one of a new table": ("CREATE_INDEX", [
        migrations.CreateModel("new", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(db_index=True))]),
        migrations.AddIndex("entry", AN_INDEX)]),
    "drops an index while nobody can write": ("DROP_INDEX", [migrations.RunSQL("DROP INDEX entry_by_subject", migrations.RunSQL.noop)]),
    "adds a constraint that checks all rows": ("ADD_CHECK", [migrations.AddConstraint("entry", A_CHECK)]),
    "adds a unique constraint": ("ADD_UNIQUE", [
        migrations.AddConstraint("entry", models.UniqueConstraint(fields=["narration"], name="one_narration"))]),
    "adds a foreign key that checks all rows": ("ADD_FOREIGN_KEY", [migrations.RunSQL(
        "ALTER TABLE ledger_entry ADD CONSTRAINT x FOREIGN KEY (id) REFERENCES ledger_hold (id)", migrations.RunSQL.noop)]),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_migration_is_refused_that(what, state):
    code, operations = REFUSED[what]
    assert code in found(state, *operations)
    assert code not in found(state, *operations, allowed={code})


def test_what_the_release_before_does_not_notice_passes(state):
    assert found(state, migrations.AddField("entry", "extra", models.IntegerField(null=True))) == set()
    assert found(state, migrations.AddField("entry", "extra", models.IntegerField(db_default=0))) == set()
    new = migrations.CreateModel(
        "new",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(db_index=True)),
            ("entry", models.ForeignKey("ledger.entry", on_delete=models.PROTECT)),
        ],
        {"constraints": [models.CheckConstraint(condition=models.Q(name__gte=""), name="new_name")]},
    )
    assert found(state, new) == set()
    assert found(state, AddIndexConcurrently("entry", AN_INDEX), atomic=False) == set()
    assert found(state, AddConstraintNotValid("entry", A_CHECK)) == set()
    with_it = state.clone()
    AddConstraintNotValid("entry", A_CHECK).state_forwards("ledger", with_it)
    assert found(with_it, ValidateConstraint("entry", A_CHECK.name)) == set()


def test_our_own_migrations_pass_and_the_list_names_only_those_that_exist(tmp_path):
    assert schema_changes.check() == []
    path = tmp_path / "list.txt"
    path.write_text(schema_changes.LIST.read_text().replace("ledger.0001", "ledger.9001"))
    wrong = schema_changes.check(path)
    assert any("names ledger.9001" in sentence for sentence in wrong)


def test_a_migration_of_ours_that_is_not_on_the_list_is_linted(tmp_path):
    path = tmp_path / "list.txt"
    lines = schema_changes.LIST.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("compliance.0002_names")))
    assert [line.split(": ")[:2] for line in schema_changes.check(path)] == [
        ["compliance.0002_names", "DROP_INDEX"],
        ["compliance.0002_names", "CREATE_INDEX"],
    ]


def test_a_reviewed_exception_says_why(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a.0001_x\nb.0002_y DROP_COLUMN NOT_NULL  # not read since 0.3.0\n")
    assert schema_changes.reviewed(path) == {"a.0001_x": {"*"}, "b.0002_y": {"DROP_COLUMN", "NOT_NULL"}}
    path.write_text("b.0002_y DROP_COLUMN\n")
    with pytest.raises(ValueError, match="says why"):
        schema_changes.reviewed(path)
