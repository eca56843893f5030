"""Bank statements as CSV: whatever banks write, read once and the same for the whole file, or refused."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bank import csv_lines
from ledger.bank.lines import Expected, FileAmbiguous, FileBroken, FileUnknown, OtherAccount

D = Decimal
EXPECTED = Expected(numbers=frozenset({"DE89370400440532013000"}), currency="EUR", exponent=2)


def read(text, encoding="utf-8", /, **columns):
    expected = Expected(numbers=EXPECTED.numbers, currency="EUR", exponent=2, columns=columns)
    return csv_lines.read(text if isinstance(text, bytes) else text.encode(encoding), expected)


def amounts(text, /, **columns):
    return [line.signed for line in read(text, **columns).lines]


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_separator_and_encoding_are_found_out(separator, encoding):
    rows = [
        ["Date", "Amount", "Description", "Payer"],
        ["2026-11-20", "100.00", "Gruß, NX; 1", "Jörg Müller"],
    ]
    text = "\r\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    (line,) = read(text, encoding).lines
    assert (line.signed, line.booked_on, line.text) == (D("100"), date(2026, 11, 20), "Gruß, NX; 1")
    assert line.counterparty == "Jörg Müller"


def test_a_german_bank_s_file_with_rows_before_the_heads_is_read():
    text = """Umsatzanzeige;Datei erstellt am: 21.11.2026
IBAN;DE89 3704 0044 0532 0130 00

Auftragskonto;Buchungstag;Valutadatum;Verwendungszweck;Begünstigter/Zahlungspflichtiger;Kontonummer/IBAN;Betrag;Währung
DE89370400440532013000;20.11.26;20.11.26;NX-7K3D-9Q2P;Amina Odhiambo;DE02120300000000202051;1.234,56;EUR
DE89370400440532013000;20.11.26;21.11.26;Entgelt;Hausbank;;-12,50;EUR
"""
    found = read(text, "cp1252")
    assert [(line.signed, line.value_on) for line in found.lines] == [
        (D("1234.56"), date(2026, 11, 20)),
        (D("-12.50"), date(2026, 11, 21)),
    ]
    assert found.lines[0].counterparty_iban == "DE02120300000000202051"
    assert (found.starts_on, found.ends_on, found.errors) == (date(2026, 11, 20), date(2026, 11, 20), ())


def test_a_dutch_bank_says_the_side_in_a_column_and_another_bank_has_two_columns():
    dutch = '"Datum","Naam / Omschrijving","Rekening","Tegenrekening","Af Bij","Bedrag","Mededelingen"\n'
    rows = '"20261120","A Odhiambo","DE89370400440532013000","NL1","Bij","1234,50","x"\n"20261120","B","DE89370400440532013000","NL2","Af","2,00","y"'
    assert amounts(dutch + rows) == [D("1234.50"), D("-2")]
    assert amounts("Date;Paid in;Paid out\n2026-11-20;10.00;\n2026-11-21;;3.50\n2026-11-21;;-1.00") == [
        D("10"),
        D("-3.50"),
        D("-1"),
    ]


def test_the_bank_s_own_heads_are_data():
    text = "Wann;Wieviel;Wofür\n20.11.2026;5,00;x"
    with pytest.raises(FileUnknown):
        read(text)
    assert amounts(text, booked_on="Wann", amount=["Wie viel", "Wieviel"], text="wofür") == [D("5")]


@pytest.mark.parametrize(
    "cells, wanted",
    [
        (["1.234,56", "7,00"], ["1234.56", "7"]),
        (["1,234.56", "7.00"], ["1234.56", "7"]),
        (["1'234.50"], ["1234.50"]),
        (["1 234,50"], ["1234.50"]),
        (["100", "-5", "+6"], ["100", "-5", "6"]),
        (["100,00-", "−3,50"], ["-100", "-3.5"]),
        (["1.000", "2,50"], ["1000", "2.5"]),
    ],
)
def test_one_decimal_sign_reads_the_whole_file(cells, wanted):
    text = "Date;Amount\n" + "\n".join(f'2026-11-20;"{cell}"' for cell in cells)
    assert amounts(text) == [D(one) for one in wanted]


@pytest.mark.parametrize("cells", [["1,234"], ["1.234", "5.678"], ["1,50", "1.50"]])
def test_amounts_that_can_be_read_in_two_ways_are_refused_unless_the_account_says(cells):
    text = "Date;Amount\n" + "\n".join(f"2026-11-20;{cell}" for cell in cells)
    with pytest.raises(FileAmbiguous):
        read(text)
    if len(set(cells)) and cells != ["1,50", "1.50"]:
        assert read(text, decimal="." if "," in cells[0] else ",").errors == ()


@pytest.mark.parametrize(
    "cells, wanted",
    [
        (["2026-11-03"], (2026, 11, 3)),
        (["03.11.2026"], (2026, 11, 3)),
        (["03/11/2026", "25/11/2026"], (2026, 11, 3)),
        (["11/03/2026", "11/25/2026"], (2026, 11, 3)),
        (["2026-11-03T23:59:00"], (2026, 11, 3)),
        (["20261103"], (2026, 11, 3)),
        (["11/11/2026"], (2026, 11, 11)),
    ],
)
def test_one_format_reads_all_dates(cells, wanted):
    found = read("Date;Amount\n" + "\n".join(f"{cell};1.00" for cell in cells))
    assert found.lines[0].booked_on == date(*wanted) and not found.errors


def test_dates_that_can_be_read_in_two_ways_are_refused_unless_the_account_says():
    text = "Date;Amount\n03/11/2026;1.00\n04/11/2026;1.00"
    with pytest.raises(FileAmbiguous):
        read(text)
    assert read(text, date_format="%d/%m/%Y").lines[0].booked_on == date(2026, 11, 3)


def test_rows_that_cannot_be_read_are_told_with_their_place_and_reason_and_the_others_stand():
    found = read(
        "Date;Amount\n2026-11-20;1.00\nsome day;2.00\n2026-11-20;=1+1\n2026-11-20;\n\n2026-11-21;1.005\n2026-11-21;0.00\n2026-11-21;3.00"
    )
    assert [line.amount for line in found.lines] == [D("1"), D("3")]
    assert [(error.place, error.message) for error in found.errors] == [
        (3, "“some day” is no date."),
        (4, "“=1+1” is no amount."),
        (5, "It has no amount."),
        (7, "At most 2 decimals are possible here."),
    ]


def test_cells_that_look_like_formulas_are_text():
    (line,) = read("Date;Amount;Description\n2026-11-20;1.00;\"=cmd|'/c calc'!A1\"").lines
    assert line.text == "=cmd|'/c calc'!A1"


@pytest.mark.parametrize("row", ["NL91ABNA0417164300;1.00;EUR", "DE89370400440532013000;1.00;USD"])
def test_a_row_of_another_account_or_currency_refuses_the_file(row):
    with pytest.raises(OtherAccount):
        read(f"Date;Account;Amount;Currency\n2026-11-20;{row}")


@pytest.mark.parametrize(
    "content", [b"\x89PNG\0\0\0", b"\xff\xfe\x00", b'Date;Amount\n2026-11-20;"' + b"1" * 200_000]
)
def test_what_is_no_text_or_no_table_is_refused(content):
    with pytest.raises(FileBroken):
        read(content)


@given(st.binary(max_size=300))
def test_no_file_whatever_is_in_it_ends_in_anything_but_lines_or_one_refusal(content):
    from backoffice.errors import DomainError

    for file in (content, b"Date;Amount;Description\n" + content):
        try:
            csv_lines.read(file, EXPECTED)
        except DomainError as refusal:
            assert refusal.field == "file"
