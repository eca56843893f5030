"""Drafts on their way to the SQL function that posts them, and its answer on the way back."""

import json
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection

from backoffice.errors import KeyReused
from backoffice.logs import correlation
from backoffice.who import By
from ledger.content import amount_text, checked_instant, checked_key, content_hash, subject_parts
from ledger.drafts import Balance, Draft, Posted
from ledger.models import account_id
from ledger.refusals import NothingToPost, refuse

# The function that posts; its dry form wraps it in a subtransaction.
POST = "ledger_post_now"

_SQL = """
SELECT status, detail, entry_ids, replayed, line_posted, line_held,
    CASE WHEN true = ANY (replayed) THEN entry_uuids::text[] END AS first_uuids
FROM {}(
    %s::bigint[], %s::text[], %s::text[], %s::text[], %s::date[], %s::text[], %s::uuid[],
    %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::uuid[], %s::bigint[],
    %s::int[], %s::int[], %s::text[], %s::numeric[], %s::int[], %s::int[], %s::bigint[], %s::numeric[],
    %s, %s, %s)
"""


class Batch:
    """Entries to be posted together. Each key once; a repeated draft stands for the first."""

    def __init__(self) -> None:
        self.hashes: dict[str, tuple[int, str]] = {}
        # By entry: kind, reference, narration, business date, subject, public id, time, client, reversed entry.
        self.entries: list[
            tuple[str, str, str, str | None, str, str | None, UUID, str, UUID | None, int | None]
        ] = []
        self.lines: list[tuple[int, int, str, str]] = []
        self.captures: list[tuple[int, int, int, str]] = []

    def add(self, draft: Draft) -> int:
        """Take a draft in and say at which place its answer will stand.

        :raises NothingToPost: if it has fewer than two lines. :raises InvalidAmount: if an amount is not above zero.
        :raises KeyReused: if its key came before in this batch with other content.
        """
        if len(draft.lines) < 2:
            raise NothingToPost("An entry has at least two lines.")
        key = checked_key(draft.key)
        lines = [(account_id(line.account), str(line.side), amount_text(line.amount)) for line in draft.lines]
        captures = [(hold.pk, hold.account_id, amount_text(amount)) for hold, amount in draft.captures]
        subject_type, subject_id = subject_parts(draft.subject)
        reverses = draft.reverses.pk if draft.reverses else None
        hashed = content_hash(
            "entry",
            draft.kind,
            sorted(lines),
            draft.reference,
            subject_type,
            subject_id,
            sorted(captures),
            reverses,
        )
        place, first_hash = self.hashes.setdefault(key, (len(self.entries), hashed))
        if first_hash != hashed:
            refuse("key_reused", {})
        if place < len(self.entries):
            return place
        number = place + 1
        day = draft.business_date.isoformat() if draft.business_date else None
        self.entries.append(
            (draft.kind, draft.reference, draft.narration, day, subject_type, subject_id,
             draft.uuid, checked_instant(draft.at), draft.client_id, reverses)
        )  # fmt: skip
        self.lines += [(number, *line) for line in lines]
        self.captures += [(number, account, hold, amount) for hold, account, amount in captures]
        return place

    def send(self, by: By, *, dry_run: bool) -> list[Posted]:
        """Post them in one round trip, all or none. Raises what `journal.post` raises."""
        ids = sorted({line[1] for line in self.lines} | {capture[1] for capture in self.captures})
        places = {account: place for place, account in enumerate(ids, start=1)}
        kinds, references, narrations, days, types, subjects, uuids, ats, clients, reverses = zip(
            *self.entries, strict=True
        )
        params = [
            _plain(ids),
            _quoted(kinds),
            _quoted(references),
            _quoted(narrations),
            _plain(days),
            _quoted(types),
            _plain(subjects),
            _plain(uuids),
            _quoted(self.hashes),
            _plain(hashed for _, hashed in self.hashes.values()),
            _plain(ats),
            _plain(clients),
            _plain(reverses),
            _plain(line[0] for line in self.lines),
            _plain(places[line[1]] for line in self.lines),
            _plain(line[2] for line in self.lines),
            _plain(line[3] for line in self.lines),
            _plain(capture[0] for capture in self.captures),
            _plain(places[capture[1]] for capture in self.captures),
            _plain(capture[2] for capture in self.captures),
            _plain(capture[3] for capture in self.captures),
            by.name,
            by.user_id,
            correlation.get(),
        ]
        answer = _call("ledger_post_dry" if dry_run else POST, params)
        if answer["status"] != "posted":
            refuse(answer["status"], json.loads(answer["detail"]))
        return self._posted(answer, dry_run=dry_run)

    def _posted(self, answer: dict[str, Any], *, dry_run: bool) -> list[Posted]:
        balances: list[dict[int, Balance]] = [{} for _ in self.entries]
        for line, posted, held in zip(self.lines, answer["line_posted"], answer["line_held"], strict=True):
            balances[line[0] - 1][line[1]] = Balance(posted, held)
        first_uuids = answer["first_uuids"] or [None] * len(self.entries)
        return [
            Posted(
                None if dry_run and not replayed else entry_id,
                UUID(first_uuid) if replayed else entry[6],
                replayed,
                MappingProxyType(after),
            )
            for entry, entry_id, first_uuid, replayed, after in zip(
                self.entries, answer["entry_ids"], first_uuids, answer["replayed"], balances, strict=True
            )
        ]


def _call(function: str, params: list[Any]) -> dict[str, Any]:
    with connection.cursor() as cursor:
        try:
            cursor.execute(_SQL.format(function), params)
        except IntegrityError as error:
            # Only two requests at once with one key and wholly different accounts get here: no lock was shared.
            if "entry_key_once" in str(error):
                raise KeyReused("This key was used before with other content.") from error
            raise
        return dict(zip([column.name for column in cursor.description], cursor.fetchone(), strict=True))


def _plain(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it, of numbers, ids and times: nothing in them needs a quote."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _quoted(values: Iterable[str]) -> str:
    """An array of any texts as PostgreSQL reads it."""
    return (
        "{"
        + ",".join(['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values])
        + "}"
    )
