"""Reports of a book: trial balance, balance sheet, income, client money. To read on a page, or to download as CSV."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice import events
from backoffice.admin import ports, show
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.csv_text import csv_text
from backoffice.models import Currency
from backoffice.who import By
from compliance.models import desks_of
from ledger.control import beancount, client_money, totals
from ledger.control.balance_sheet import Item, balance_sheet, income
from ledger.models import Book
from ledger.reports import TrialBalanceRow, trial_balance

PERMISSION: Final = "ledger.view_account"
MAY_EXPORT: Final = "ledger.export_books"


@dataclass(frozen=True, slots=True)
class Link:
    """Text that leads somewhere on the page; in a file it is the text."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Table:
    """One currency of a report. Amounts are decimals; the last `right` columns hold figures."""

    currency: str
    verdict: str
    is_good: bool
    head: list[str]
    rows: list[list[Any]]
    right: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is of. Reports of one moment look at the end of `last` only."""

    book: Book
    first: date
    last: date
    today: date

    def totals(self) -> totals.Totals:
        """What stood on the book at the end of the last day; of today's, now."""
        if self.last >= self.today:
            return totals.now(self.book)
        return totals.at_end_of(self.book, self.last, today=self.today)


@dataclass(frozen=True, slots=True)
class Report:
    """A page: its title, what it is for, and how it is read."""

    title: str
    intro: str
    icon: str
    read: Callable[[Asked], list[Table]]
    of_period: bool = False
    book: Book = Book.REAL


def _trial_balance(asked: Asked) -> list[Table]:
    found: dict[str, list[TrialBalanceRow]] = {}
    for row in trial_balance(asked.book, asked.totals()):
        found.setdefault(row.currency, []).append(row)
    tables = []
    for currency, rows in found.items():
        debit, credit = sum((r.debit for r in rows), Decimal(0)), sum((r.credit for r in rows), Decimal(0))
        even = debit == credit
        lines: list[list[Any]] = [
            [r.kind.capitalize(), _of(asked.book, totals.Group(currency, r.kind, r.purpose, r.owner_type)), r.accounts,
             r.debit or None, r.credit or None]
            for r in rows
        ]  # fmt: skip
        lines.append(["Total", "", None, debit, credit])
        said = "Debits equal credits" if even else "Debits and credits differ"
        tables.append(
            Table(currency, said, even, ["Kind", "Accounts for", "How many", "Debit", "Credit"], lines, 3)
        )
    return tables


def _balance_sheet(asked: Asked) -> list[Table]:
    tables = []
    for sheet in balance_sheet(asked.totals()):
        even = sheet.total_assets == sheet.total_claims
        lines = _lines(asked.book, "Asset", sheet.assets)
        lines.append(["Total of assets", "", sheet.total_assets])
        lines += _lines(asked.book, "Liability", sheet.liabilities) + _lines(
            asked.book, "Equity", sheet.equity
        )
        lines += [
            ["Result", "Earned less spent, ever since", sheet.result],
            ["Total of claims", "", sheet.total_claims],
        ]
        said = "Assets equal claims" if even else "Assets and claims differ"
        tables.append(Table(sheet.currency, said, even, ["", "Accounts for", "Amount"], lines))
    return tables


def _income(asked: Asked) -> list[Table]:
    tables = []
    for one in income(totals.within(asked.book, asked.first, asked.last, today=asked.today)):
        lines = _lines(asked.book, "Earned", one.earned) + _lines(asked.book, "Spent", one.spent)
        lines.append(["Result", "", one.result])
        gained = one.result >= 0
        tables.append(
            Table(one.currency, "Gained" if gained else "Lost", gained, ["", "Accounts for", "Amount"], lines)
        )
    return tables


def _client_money(asked: Asked) -> list[Table]:
    tables = []
    for sheet in client_money.report(asked.totals()):
        lines: list[list[Any]] = [
            ["At banks", "", sheet.at_banks],
            ["Owed to clients", "", sheet.owed],
            ["Difference", "", sheet.difference],
        ]
        lines += [
            ["of which", Link(line.words, _accounts_url(asked.book, line.group)), line.amount]
            for line in sheet.lines
        ]
        if sheet.unexplained:
            lines.append(["of which", "Not explained: the books do not balance", sheet.unexplained])
        good = sheet.difference >= 0
        said = "Clients’ money is at banks" if good else "Clients’ money is elsewhere"
        tables.append(Table(sheet.currency, said, good, ["", "", "Amount"], lines))
    return tables


REPORTS: Final = {
    "trial_balance": Report(
        "Trial balance", "All balances of a book; debits equal credits in each currency.", "balance", _trial_balance,
        book=Book.DEMO_MIRROR,
    ),
    "balance_sheet": Report(
        "Balance sheet", "What there is, and whose it is, at the end of a day.", "account_balance", _balance_sheet
    ),
    "income": Report("Income", "What was earned and spent within a period.", "trending_up", _income, of_period=True),
    "client_money": Report(
        "Client money",
        "What we owe clients beside what lies at our banks, and the difference explained to the last line: above zero is "
        "money at banks that is owed to no client.",
        "savings", _client_money,
    ),
}  # fmt: skip


def urls() -> list[URLPattern]:
    """The pages of all reports, and the one address they are downloaded from."""
    view = admin.site.admin_view
    pages = [
        path(f"{name.replace('_', '-')}/", view(_page_of(name)), name=f"ledger_{name}") for name in REPORTS
    ]
    return [*pages, path("export/", view(export), name="ledger_export")]


def _page_of(name: str) -> Callable[[HttpRequest], HttpResponse]:
    def page(request: HttpRequest) -> HttpResponse:
        if request.method not in ("GET", "HEAD") or not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        report = REPORTS[name]
        asked = _asked(request.GET, report)
        digits = dict(Currency.objects.values_list("code", "exponent"))
        context = {
            **admin.site.each_context(request),
            "title": report.title,
            "intro": report.intro,
            "name": name,
            "report": report,
            "asked": asked,
            "books": [(value, label, value == asked.book) for value, label in Book.choices],
            "tables": [(table, _html(table, digits[table.currency])) for table in report.read(asked)],
            "may_export": request.user.has_perm(MAY_EXPORT),
        }
        return TemplateResponse(request, "console/report.html", context)

    return page


def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """A report as CSV, or a book's entries as beancount text; that it was downloaded is an event. POST only."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm(MAY_EXPORT):
        raise PermissionDenied
    name = request.POST.get("report", "")
    if name == "beancount":
        return _beancount(request, _asked(request.POST, REPORTS["income"]))
    if name not in REPORTS:
        raise PermissionDenied
    report = REPORTS[name]
    asked = _asked(request.POST, report)
    tables = report.read(asked)
    rows = [[table.currency, *map(_plain, row)] for table in tables for row in table.rows]
    _record(request, name, asked, len(rows))
    text = csv_text(["Currency", *(tables[0].head if tables else [])], rows)
    return _file(text, "text/csv", f"{name.replace('_', '-')}-{asked.book}-{asked.last}.csv")


def _beancount(request: HttpRequest, asked: Asked) -> StreamingHttpResponse:
    if desks_of(request.user) is not None:  # type: ignore[arg-type]
        raise PermissionDenied  # it has every client's entries
    _record(request, "beancount", asked, beancount.count(asked.book, asked.first, asked.last))
    answer = StreamingHttpResponse(
        beancount.export(asked.book, asked.first, asked.last), content_type="text/plain"
    )
    name = f"{asked.book}-{asked.first}-{asked.last}.beancount"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _record(request: HttpRequest, name: str, asked: Asked, rows: int) -> None:
    user: Any = request.user
    events.record(
        "books.exported", subject_type="user", subject_id=user.uuid, by=By.user(user), at=timezone.now(),
        payload={"report": name, "book": asked.book.value, "first": f"{asked.first}", "last": f"{asked.last}", "rows": rows},
    )  # fmt: skip


def _asked(given: Any, report: Report) -> Asked:
    """What the page was asked for; what is not a book or a day is as if it had not been given."""
    today = datetime.now(UTC).date()
    book = given.get("book", "")
    last = _day(given.get("last", "")) or today
    return Asked(
        Book(book) if book in Book.values else report.book,
        _day(given.get("first", "")) or last.replace(day=1),
        last,
        today,
    )


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date(1970, 1, 1) < found < date(9000, 1, 1) else None


def _lines(book: Book, label: str, items: tuple[Item, ...]) -> list[list[Any]]:
    return [[label, _of(book, item.group), item.amount] for item in items]


def _of(book: Book, group: totals.Group) -> Link:
    owner = "Clients’ " if group.owner_type else "House · "
    return Link(owner + group.purpose.replace("_", " "), _accounts_url(book, group))


def _accounts_url(book: Book, group: totals.Group) -> str:
    page = reverse("admin:ledger_account_changelist")
    return f"{page}?q={group.purpose}&by_book={book}&by_currency={group.currency}"


def _html(table: Table, digits: int) -> SafeString:
    first = len(table.head) - table.right

    def cell(value: Any) -> Any:
        if isinstance(value, Link):
            return show.link(value.text, value.url)
        if isinstance(value, Decimal):
            return show.money(value, table.currency, digits)
        return "" if value is None else f"{value:,}" if isinstance(value, int) else value

    return show.table(
        table.head,
        [[cell(value) for value in row] for row in table.rows],
        right=tuple(range(first, len(table.head))),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value.normalize() + Decimal(0)
    return value.text if isinstance(value, Link) else value


def _file(text: str, kind: str, name: str) -> HttpResponse:
    answer = HttpResponse(text, content_type=f"{kind}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


for _number, (_name, _report) in enumerate(REPORTS.items()):
    ports.sidebar.register(
        _name,
        SidebarEntry("Books", _report.title, f"admin:ledger_{_name}", _report.icon, PERMISSION),
        order=30 + _number,
    )
ports.words.register(
    "books.exported",
    lambda payload: f"Downloaded: {payload['report'].replace('_', ' ')} of the book {payload['book']}",
)
