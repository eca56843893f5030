"""What holds for all of the code, however much of it there is: layers, refusals, records, models, actors."""

import ast
import re
import weakref
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from django.apps import apps
from django.db import models
from django.db.models import signals
from django.utils import timezone

from backoffice import heartbeat
from backoffice.admin import ports
from backoffice.configuration import Configuration
from backoffice.errors import DomainError
from jobs.declare import DEFAULTS, load_actors
from tests import architecture as house

# Foreign keys that do not protect what they point at, each with the reason.
NOT_PROTECTED: dict[str, str] = {}

# Rows that only join two others and carry nothing of their own; a library makes them and cascades.
PLAIN_JOINS = {
    "compliance.Desk_staff": "who sits at which desk; the desk and the person are the records",
    "backoffice.User_groups": "Django's own: which roles a person has",
    "backoffice.User_user_permissions": "Django's own: single permissions of a person",
}

# Where functions and classes are named after the venue's own calls and frames, the module says what they are.
CALL_BY_CALL = {
    "brokerage/deriv/simulator/v3/": "a handler for each call, a frame for each message, a class for each stream",
    "brokerage/deriv/simulator/v4/": "a writer for each message",
    "brokerage/deriv/answers.py": "a reader for each field and each answer",
}

# How staff see a model: the class is named for the model, and the model says what it is.
EDGE = re.compile(r"\w+/(admin\.py|admin/|console/)[\w/.]*:")

# The longest a source file may be.
LONGEST_FILE = 450


# ── layers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_foreign_key_points_from_a_lower_layer_to_a_higher_one():
    wrong = []
    for model in apps.get_models(include_auto_created=True):
        label = model._meta.app_label
        for field in house.foreign_keys(model):
            target = field.related_model._meta.app_label
            if label not in house.LAYER_OF or target not in house.LAYER_OF or label == target:
                continue
            if house.LAYER_OF[target] >= house.LAYER_OF[label]:
                wrong.append(f"{model._meta.label}.{field.name} → {field.related_model._meta.label}")
    assert wrong == []


def test_the_layers_name_every_app_of_ours():
    ours = {config.name for config in apps.get_app_configs() if (house.ROOT / config.name).is_dir()}
    assert ours == set(house.PACKAGES)


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_refusal_has_a_code_of_its_own_in_capitals():
    codes: dict[str, str] = {}
    for refusal in house.refusals():
        assert "code" in refusal.__dict__, (
            f"{refusal.__name__} borrows its code; a code is permanent and its own"
        )
        assert refusal.code.replace("_", "").isalpha(), refusal.code
        assert refusal.code == refusal.code.upper(), refusal.code
        assert refusal.code not in codes, (
            f"{refusal.__name__} and {codes.get(refusal.code)} share {refusal.code}"
        )
        codes[refusal.code] = refusal.__name__
    assert codes["REFUSED"] == DomainError.__name__


def test_every_refusal_says_what_it_means():
    assert [refusal.__name__ for refusal in house.refusals() if not (refusal.__doc__ or "").strip()] == []


# ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_record_points_at_cannot_be_deleted_under_it():
    wrong = [
        f"{model._meta.label}.{field.name}"
        for model in house.our_models()
        for field in house.foreign_keys(model)
        if field.remote_field.on_delete is not models.PROTECT
        and f"{model._meta.label}.{field.name}" not in NOT_PROTECTED
    ]
    assert wrong == []


def test_plain_joins_are_the_ones_we_know_and_the_reasons_are_written_down():
    joins = {
        model._meta.label
        for model in apps.get_models(include_auto_created=True)
        if model._meta.auto_created and model._meta.app_label in house.PACKAGES
    }
    assert joins == set(PLAIN_JOINS)
    known = {
        f"{model._meta.label}.{field.name}"
        for model in house.our_models()
        for field in house.foreign_keys(model)
    }
    assert set(NOT_PROTECTED) <= known


# ── models ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_model_has_an_order_of_its_own():
    """Each list says how it is ordered; a hidden order costs a sort nobody asked for."""
    assert [model._meta.label for model in house.our_models() if model._meta.ordering] == []


def test_a_yes_or_no_is_never_a_maybe():
    wrong = [
        f"{model._meta.label}.{field.name}"
        for model in house.our_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.BooleanField) and field.null
    ]
    assert wrong == []


@pytest.mark.parametrize("hidden", ["save", "delete", "clean", "full_clean"])
def test_nothing_hides_in_a_model(hidden):
    """Rules are in verbs and in the database, where a bulk write meets them too."""
    wrong = [
        f"{base.__module__}.{base.__name__}.{hidden}"
        for model in house.our_models()
        for base in model.__mro__
        if base.__module__.partition(".")[0] in house.PACKAGES and hidden in base.__dict__
    ]
    assert wrong == []


def test_no_code_of_ours_listens_to_django_s_signals():
    listeners = []
    for name, signal in vars(signals).items():
        for receiver in getattr(signal, "receivers", []):
            called = receiver[1]() if isinstance(receiver[1], weakref.ReferenceType) else receiver[1]
            if getattr(called, "__module__", "").partition(".")[0] in house.PACKAGES:
                listeners.append(f"{name}: {called}")
    assert listeners == []
    modules = {
        "django.dispatch",
        "django.db.models.signals",
        "django.core.signals",
        "django.contrib.auth.signals",
    }
    importing = [
        house.name_of(path)
        for path in house.sources()
        for node in ast.walk(house.parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module in modules
    ]
    assert importing == []


def models_with_moves() -> list[type[models.Model]]:
    return [model for model in house.our_models() if hasattr(model, "MOVES")]


def test_models_with_moves_are_found():
    assert {"Trade", "TradingAccount", "Hold"} <= {model.__name__ for model in models_with_moves()}


def test_every_table_of_moves_covers_every_state_and_leads_only_to_states():
    for model in models_with_moves():
        states = set(model.State.values)
        assert {str(state) for state in model.MOVES} == states, model.__name__
        for state, targets in model.MOVES.items():
            assert {str(to) for to in targets} <= states - {str(state)}, f"{model.__name__} {state}"


def test_every_state_can_be_reached_and_the_final_ones_have_no_moves():
    for model in models_with_moves():
        moves = {str(state): {str(to) for to in targets} for state, targets in model.MOVES.items()}
        born = getattr(model, "BORN", (model._meta.get_field("state").default,))
        reached, waiting = set(), {str(state) for state in born}
        while waiting:
            reached |= waiting
            waiting = {to for state in waiting for to in moves[state]} - reached
        assert reached == set(moves), model.__name__
        final = {state for state, targets in moves.items() if not targets}
        assert final, model.__name__
        if hasattr(model, "FINAL"):
            assert final == {str(state) for state in model.FINAL}, model.__name__


def test_every_state_that_is_not_final_has_an_age_limit_an_owner_and_a_sentence_and_is_on_the_page_of_stuck_things():
    shown = {kind.model for kind in ports.unfinished}
    for model in models_with_moves():
        passing = {str(state) for state, targets in model.MOVES.items() if targets}
        resting = {str(state) for state in getattr(model, "RESTING", ())}
        assert resting <= passing, model.__name__
        assert {str(state) for state in model.PATIENCE} == passing - resting, model.__name__
        for state, patience in model.PATIENCE.items():
            assert patience.length > timedelta(0) and patience.owner, f"{model.__name__} {state}"
            row = model(state=state, **{column: timezone.now() for column in patience.columns})
            assert row.why.endswith("."), f"{model.__name__} {state}"
        assert model in shown, model.__name__


# ── actors ──────────────────────────────────────────────────────────────────────────────────────────────────────


def our_actors() -> list[dramatiq.Actor[..., Any]]:
    load_actors()
    actors = dramatiq.get_broker().actors.values()
    return [actor for actor in actors if actor.fn.__module__.startswith("jobs.actors")]


def test_every_actor_has_a_time_limit_and_says_what_it_does():
    found = our_actors()
    assert found
    for actor in found:
        assert 0 < actor.options.get("time_limit", 0) <= 3_600_000, actor.actor_name
        assert (actor.fn.__doc__ or "").strip(), actor.actor_name


def test_every_actor_backs_off_and_takes_a_refusal_for_an_answer():
    for actor in our_actors():
        options = actor.options
        assert 0 <= options["max_retries"] <= 10, actor.actor_name
        assert 0 < options["min_backoff"] <= options["max_backoff"] <= 3_600_000, actor.actor_name
        assert issubclass(DomainError, tuple(options["throws"])), actor.actor_name


def test_the_death_of_a_worker_is_noticed_in_under_thirty_seconds():
    assert heartbeat.GONE_AFTER_SECONDS < 30
    assert dramatiq.get_broker().heartbeat_timeout < 30_000  # and then its messages go back to their queue


def test_every_actor_is_on_the_queue_its_name_says():
    assert [
        actor.actor_name for actor in our_actors() if actor.actor_name.partition(".")[0] != actor.queue_name
    ] == []


def test_everything_that_runs_by_the_clock_has_an_actor():
    declared = {actor.actor_name for actor in our_actors()}
    assert DEFAULTS
    assert {default.name for default in DEFAULTS.values()} <= declared


# ── code ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_says_what_it_does():
    assert [
        name for name, field in Configuration.model_fields.items() if not (field.description or "").strip()
    ] == []


def test_every_public_module_class_and_function_says_what_it_is():
    missing = [one for path in house.sources() for one in house.without_docstring(path)]
    assert [one for one in missing if not one.startswith(tuple(CALL_BY_CALL)) and not EDGE.match(one)] == []


def test_no_source_file_is_too_long_to_read():
    long = {house.name_of(path): len(path.read_text().splitlines()) for path in house.sources()}
    assert {name: lines for name, lines in long.items() if lines > LONGEST_FILE} == {}
