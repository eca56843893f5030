"""A client's statement as PDF: own layout, numbered pages, the hash on each."""

import io
import unicodedata
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Final

import reportlab
from django.conf import settings
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from ledger.client_statement import ClientStatement, Line

WIDTH, HEIGHT = A4
LEFT, RIGHT = 50.0, WIDTH - 50.0
STEP: Final = 16.0
FIRST_TOP, TOP, BOTTOM = HEIGHT - 190, HEIGHT - 90, 80.0
# Where columns begin (texts) or end (amounts).
WHAT, REFERENCE, AMOUNT = LEFT + 105, LEFT + 240, RIGHT - 95
PLAIN, BOLD = "Statement", "Statement-Bold"


def as_pdf(statement: ClientStatement) -> bytes:
    """The statement as PDF. The same statement gives the same bytes."""
    _register_fonts()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.setTitle(f"Statement {statement.first} to {statement.last}, {statement.currency}")
    canvas.setAuthor(settings.CONFIG.company_name)
    pages = _pages(statement.lines)
    for number, lines in enumerate(pages, start=1):
        top = _head(canvas, statement) if number == 1 else TOP
        _columns(canvas, top)
        for place, line in enumerate(lines):
            _row(canvas, top - (place + 1) * STEP, line)
        if number == len(pages):
            _closing(canvas, top - (len(lines) + 2) * STEP, statement)
        _foot(canvas, statement, number, len(pages))
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _pages(lines: tuple[Line, ...]) -> list[tuple[Line, ...]]:
    """The lines of each page; the last has room for the closing balance."""
    first, other = int((FIRST_TOP - BOTTOM) / STEP) - 3, int((TOP - BOTTOM) / STEP) - 3
    pages = [lines[:first]]
    rest = lines[first:]
    while rest:
        pages.append(rest[:other])
        rest = rest[other:]
    return pages


def _head(canvas: Canvas, statement: ClientStatement) -> float:
    canvas.setFont(BOLD, 16)
    canvas.drawString(LEFT, HEIGHT - 60, "Statement")
    canvas.setFont(PLAIN, 9)
    canvas.drawRightString(RIGHT, HEIGHT - 60, settings.CONFIG.company_name)
    facts = [
        ("Client", statement.client.name),
        ("Wallet", statement.currency),
        ("Period", f"{statement.first} to {statement.last}, both included, by UTC"),
        ("Opening balance", f"{_amount(statement.opening)} {statement.currency}"),
    ]
    for place, (label, value) in enumerate(facts):
        y = HEIGHT - 90 - place * STEP
        canvas.setFont(PLAIN, 9)
        canvas.drawString(LEFT, y, label)
        canvas.setFont(BOLD, 9)
        canvas.drawString(WHAT, y, _fitting(value, BOLD, 9, RIGHT - WHAT))
    return FIRST_TOP


def _columns(canvas: Canvas, top: float) -> None:
    canvas.setFont(BOLD, 8)
    for x, title in ((LEFT, "When (UTC)"), (WHAT, "What"), (REFERENCE, "Reference")):
        canvas.drawString(x, top, title)
    canvas.drawRightString(AMOUNT, top, "Amount")
    canvas.drawRightString(RIGHT, top, "Balance")
    canvas.line(LEFT, top - 4, RIGHT, top - 4)


def _row(canvas: Canvas, y: float, line: Line) -> None:
    canvas.setFont(PLAIN, 8)
    canvas.drawString(LEFT, y, f"{line.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
    canvas.drawString(WHAT, y, _fitting(line.words, PLAIN, 8, REFERENCE - WHAT - 6))
    canvas.drawString(REFERENCE, y, _fitting(line.reference, PLAIN, 8, AMOUNT - REFERENCE - 90))
    canvas.drawRightString(AMOUNT, y, _amount(line.amount))
    canvas.drawRightString(RIGHT, y, _amount(line.balance))


def _closing(canvas: Canvas, y: float, statement: ClientStatement) -> None:
    canvas.line(LEFT, y + STEP - 4, RIGHT, y + STEP - 4)
    canvas.setFont(BOLD, 9)
    canvas.drawString(LEFT, y, "Closing balance")
    canvas.drawRightString(RIGHT, y, f"{_amount(statement.closing)} {statement.currency}")


def _foot(canvas: Canvas, statement: ClientStatement, number: int, pages: int) -> None:
    canvas.setFont(PLAIN, 7)
    canvas.drawString(LEFT, 45, f"SHA-256 of the content: {statement.sha256}")
    canvas.drawRightString(RIGHT, 45, f"Page {number} of {pages}")


def _amount(value: Decimal) -> str:
    return f"{value:,f}".replace("-", "\N{MINUS SIGN}") if value < 0 else f"{value:,f}"


def _fitting(text: str, font: str, size: float, width: float) -> str:
    """The text as the font has it, or as much of it as there is room for."""
    text = "".join(_drawable(sign, font) for sign in text)
    if pdfmetrics.stringWidth(text, font, size) <= width:
        return text
    while text and pdfmetrics.stringWidth(f"{text}…", font, size) > width:
        text = text[:-1]
    return f"{text}…"


def _drawable(sign: str, font: str) -> str:
    """A sign the font has; for one it has not its base letter (ą: a), or a question mark."""
    known = pdfmetrics.getFont(font).face.charToGlyph  # type: ignore[attr-defined]
    return next((one for one in (sign, unicodedata.normalize("NFKD", sign)[0]) if ord(one) in known), "?")


def _register_fonts() -> None:
    """The fonts that come with the library; embedded, so that a statement looks the same everywhere."""
    if PLAIN not in pdfmetrics.getRegisteredFontNames():
        folder = Path(reportlab.__file__).parent / "fonts"
        pdfmetrics.registerFont(TTFont(PLAIN, str(folder / "Vera.ttf")))
        pdfmetrics.registerFont(TTFont(BOLD, str(folder / "VeraBd.ttf")))
