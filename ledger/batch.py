"""Drafts on their way to the SQL function that posts them, and its answer on the way back."""

import json
from datetime import UTC
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
SELECT (x.answer).* FROM (SELECT {}(
    %s::bigint[], %s::jsonb[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::uuid[], %s::bigint[],
    %s::int[], %s::int[], %s::text[], %s::numeric[], %s::int[], %s::int[], %s::bigint[], %s::numeric[],
    %s, %s, %s) AS answer OFFSET 0) x
"""


class Batch:
    """Entries to be posted together. Each key once; a repeated draft stands for the first."""

    def __init__(self) -> None:
        self.hashes: dict[str, tuple[int, str]] = {}
        self.said: list[str] = []
        self.uuids: list[str] = []
        self.ats: list[str] = []
        self.clients: list[str | None] = []
        self.reverses: list[int | None] = []
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
        place, first_hash = self.hashes.setdefault(key, (len(self.uuids), hashed))
        if first_hash != hashed:
            refuse("key_reused", {})
        if place < len(self.uuids):
            return place
        number = place + 1
        self.uuids.append(str(draft.uuid))
        self.ats.append(checked_instant(draft.at))
        self.clients.append(str(draft.client_id) if draft.client_id else None)
        self.reverses.append(reverses)
        self.lines += [(number, *line) for line in lines]
        self.captures += [(number, account, hold, amount) for hold, account, amount in captures]
        said = {
            "kind": draft.kind,
            "reference": draft.reference,
            "narration": draft.narration,
            "business_date": (draft.business_date or draft.at.astimezone(UTC).date()).isoformat(),
            "subject_type": subject_type,
            "subject_id": subject_id,
        }
        self.said.append(json.dumps(said))
        return place

    def send(self, by: By, *, dry_run: bool) -> list[Posted]:
        """Post them in one round trip, all or none. Raises what `journal.post` raises."""
        ids = sorted({line[1] for line in self.lines} | {capture[1] for capture in self.captures})
        places = {account: place for place, account in enumerate(ids, start=1)}
        params = [
            ids,
            self.said,
            self.uuids,
            list(self.hashes),
            [hashed for _, hashed in self.hashes.values()],
            self.ats,
            self.clients,
            self.reverses,
            [line[0] for line in self.lines],
            [places[line[1]] for line in self.lines],
            [line[2] for line in self.lines],
            [line[3] for line in self.lines],
            [capture[0] for capture in self.captures],
            [places[capture[1]] for capture in self.captures],
            [capture[2] for capture in self.captures],
            [capture[3] for capture in self.captures],
            by.name,
            by.user_id,
            correlation.get(),
        ]
        answer = _call("ledger_post_dry" if dry_run else POST, params)
        if answer["status"] != "posted":
            refuse(answer["status"], json.loads(answer["detail"]))
        return self._posted(answer, dry_run=dry_run)

    def _posted(self, answer: dict[str, Any], *, dry_run: bool) -> list[Posted]:
        balances: list[dict[int, Balance]] = [{} for _ in self.uuids]
        for line, posted, held in zip(self.lines, answer["line_posted"], answer["line_held"], strict=True):
            balances[line[0] - 1][line[1]] = Balance(posted, held)
        return [
            Posted(
                None if dry_run and not replayed else entry_id,
                _uuid(public_id),
                replayed,
                MappingProxyType(after),
            )
            for entry_id, public_id, replayed, after in zip(
                answer["entry_ids"], answer["entry_uuids"], answer["replayed"], balances, strict=True
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


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
