"""What the books say to a client: transaction history and statements."""

from datetime import UTC, date, datetime, time, timedelta

import strawberry
from strawberry.types import Info

from compliance.models import Client
from graphql_api import connections
from graphql_api.clients import client_of
from graphql_api.types import Money
from graphql_api.viewer import problem_as_error, user_of
from ledger import history
from ledger.client_statement import ClientStatement, client_statement

# As many lines as the measured cost of a statement counts on.
STATEMENT_LINES = 500

TransactionType = history.Type
strawberry.enum(
    TransactionType,
    name="TransactionType",
    description="What it was; OTHER is whatever has no type of its own.",
)
TransactionStatus = history.Status
strawberry.enum(
    TransactionStatus, name="TransactionStatus", description="Where it is. What was posted is COMPLETED."
)


@strawberry.type(
    description="One line of the transaction history: something posted to a wallet, or a request that is not."
)
class Transaction:
    id: strawberry.ID = strawberry.field(description="Of the posting or the request.")
    type: TransactionType
    status: TransactionStatus
    words: str = strawberry.field(description="What it was, in words.")
    amount: Money = strawberry.field(description="Above zero when the wallet gains.")
    fee: Money | None
    reference: str
    external_id: str = strawberry.field(description="The other side's number for it.")
    note: str
    created_at: datetime
    completed_at: datetime | None = strawberry.field(description="When it was posted, or ended otherwise.")
    balance: Money | None = strawberry.field(description="Of the wallet right after it, if it was posted.")

    @staticmethod
    def of(row: history.Transaction) -> "Transaction":
        return Transaction(
            id=strawberry.ID(connections.line_cursor(row.place)),
            type=row.type,
            status=row.status,
            words=row.words,
            amount=Money.of(row.amount, row.currency),
            fee=Money.maybe(row.fee, row.currency),
            reference=row.reference,
            external_id=row.external_id,
            note=row.note,
            created_at=row.created_at,
            completed_at=row.completed_at,
            balance=Money.maybe(row.balance, row.currency),
        )


@strawberry.input(description="Days, both included, by UTC.")
class PeriodInput:
    first: date
    last: date


@strawberry.input
class TransactionFilter:
    types: list[TransactionType] | None = None
    statuses: list[TransactionStatus] | None = None
    currency: str | None = None
    period: PeriodInput | None = None


@strawberry.type
class StatementLine:
    words: str
    reference: str
    at: datetime
    amount: Money
    balance: Money


@strawberry.type(description="A wallet over days, both included, by UTC.")
class Statement:
    currency: str
    first: date
    last: date
    opening: Money
    closing: Money
    lines: list[StatementLine]
    sha256: str = strawberry.field(
        description="Of the content. The same period gives the same, as long as nothing was booked into it late."
    )
    late_lines: int = strawberry.field(description="How many lines were booked after the period had ended.")

    @staticmethod
    def of(row: ClientStatement) -> "Statement":
        return Statement(
            currency=row.currency,
            first=row.first,
            last=row.last,
            opening=Money.of(row.opening, row.currency),
            closing=Money.of(row.closing, row.currency),
            lines=[
                StatementLine(
                    words=line.words, reference=line.reference, at=line.at,
                    amount=Money.of(line.amount, row.currency), balance=Money.of(line.balance, row.currency),
                )
                for line in row.lines
            ],
            sha256=row.sha256,
            late_lines=len(row.late),
        )  # fmt: skip


@strawberry.type
class Query:
    @strawberry.field(
        description="What moved on your wallets, and requests that have not moved or never will; the newest first, a page at a time."
    )
    @problem_as_error
    def transactions(
        self,
        info: Info,
        filter: TransactionFilter | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> connections.Connection[Transaction]:
        size, wanted = connections.page_size(first), filter or TransactionFilter()
        period = wanted.period
        clients = list(Client.objects.of_user(user_of(info)).values_list("uuid", flat=True))
        asked = history.Asked(
            clients=clients,
            limit=size + 1,
            after=connections.line_place(after, "after") if after else None,
            types=wanted.types or (),
            statuses=wanted.statuses or (),
            currency=wanted.currency or "",
            since=datetime.combine(period.first, time(), UTC) if period else None,
            until=datetime.combine(period.last + timedelta(days=1), time(), UTC) if period else None,
        )
        found = history.page(asked)
        edges = [
            connections.Edge(node=Transaction.of(row), cursor=connections.line_cursor(row.place))
            for row in found[:size]
        ]
        return connections.Connection(
            edges=edges,
            page_info=connections.PageInfo(
                has_next_page=len(found) > size,
                has_previous_page=bool(after),
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )

    @strawberry.field(
        description="Your wallet's statement in a currency; at most 500 lines. `client` if you act for several."
    )
    @problem_as_error
    def statement(
        self, info: Info, currency: str, period: PeriodInput, client: strawberry.ID | None = None
    ) -> Statement:
        row = client_of(user_of(info), client)
        return Statement.of(
            client_statement(row, currency, (period.first, period.last), at_most=STATEMENT_LINES)
        )
