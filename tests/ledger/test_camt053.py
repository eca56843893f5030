"""camt.053 files as banks send them, and as nobody should: read to the last line, or refused as a whole."""

import tracemalloc
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.errors import DomainError
from ledger.bank import camt053
from ledger.bank.lines import (
    BalancesDiffer,
    Expected,
    FileBroken,
    FileForbidden,
    FileUnknown,
    OtherAccount,
    fingerprints,
)
from tests.ledger.statements import IBAN, Entry, balance, document, ntry, statement

D = Decimal
BANKS = Path(__file__).parent / "banks"


def read(content, number=IBAN, currency="EUR", exponent=2):
    expected = Expected(numbers=frozenset({number}), currency=currency, exponent=exponent)
    return camt053.read(content, expected)


def of_bank(name, number):
    return read((BANKS / f"{name}.xml").read_bytes(), number)


# ── banks ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rabobank_s_statement_with_a_returned_payment_and_a_charge():
    found = of_bank("rabobank", "NL39RABO0300065264")
    paid, returned, charge = found.lines
    assert (found.opening, found.closing) == (D("1500"), D("1799.05"))
    assert (found.starts_on, found.ends_on) == (date(2026, 11, 20), date(2026, 11, 20))
    assert (paid.signed, paid.counterparty, paid.counterparty_iban) == (
        D("250"),
        "A. Odhiambo",
        "NL91ABNA0417164300",
    )
    assert (paid.text, paid.end_to_end_id, paid.bank_id) == ("storting NX-2222-2222", "", "OO9T005084671")
    assert (returned.signed, returned.is_reversal, returned.end_to_end_id) == (
        D("60"),
        True,
        "PAY-2026-000017",
    )
    assert (returned.counterparty, returned.value_on) == ("Lucas Ferreira", date(2026, 11, 19))
    assert returned.text == "Withdrawal Returned: AC04"
    assert (charge.signed, charge.text) == (D("-10.95"), "Kosten betalingsverkeer oktober")


def test_danske_bank_s_statement_with_a_batch_and_a_structured_reference():
    found = of_bank("danske_bank", "FI2112345600000785")
    assert [(line.place, line.signed, line.counterparty) for line in found.lines] == [
        (1, D("100"), "Virtanen Matti"),
        (1, D("200"), "Korhonen Aino"),
        (2, D("100"), "Lindqvist Eva"),
    ]
    assert found.opening == D("-75.10")
    assert [line.text for line in found.lines] == ["RF18539007547034", "Talletus marraskuu", "Insättning"]
    assert found.lines[0].booked_on == date(2026, 11, 20)
    assert [line.bank_id for line in found.lines] == [
        "2611200000441001-1",
        "2611200000441001-2",
        "2611200000441002",
    ]


def test_a_swiss_statement_with_a_batch_that_has_a_payment_taken_back_and_an_entry_only_announced():
    found = of_bank("swiss", "CH9300762011623852957")
    assert [line.signed for line in found.lines] == [D("50"), D("25"), D("-4.5")]
    assert found.lines[0].text == "210000000003139471430009017 Einzahlung"
    assert found.lines[0].counterparty == "Muster Pia"
    assert (found.opening, found.closing, found.skipped) == (0, D("70.5"), 1)


def test_westpac_s_file_of_several_accounts_gives_the_lines_of_ours_alone():
    found = of_bank("westpac", "032001987654")
    (line,) = found.lines
    assert (line.signed, line.text, line.end_to_end_id) == (D("80"), "BPAY one BPAY two", "")
    assert (found.number, found.opening, found.closing, found.skipped) == ("2", D("10"), D("90"), 1)


@pytest.mark.parametrize("version", ["02", "03", "04", "05", "06", "07", "08"])
def test_every_version_is_read_by_its_namespace(version):
    entry = Entry(amount="10.00", text="Hello", who="Amina Odhiambo", end_to_end="E-1")
    (line,) = read(statement(entry, version=version)).lines
    assert (line.signed, line.text, line.counterparty, line.end_to_end_id) == (
        D("10"),
        "Hello",
        "Amina Odhiambo",
        "E-1",
    )


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────

LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>&b;</BkToCstmrStmt></Document>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE d SYSTEM "file:///etc/passwd">
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"/>"""
GOOD = statement(Entry(amount="10.00"), Entry(amount="2.50", side="DBIT"))


@pytest.mark.parametrize("content", [LAUGHS, OUTSIDE])
def test_a_document_type_or_entities_are_forbidden(content):
    with pytest.raises(FileForbidden):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace(b"camt.053.001.02", b"camt.053.001.01"),
        GOOD.replace(b"camt.053.001.02", b"camt.053.001.09"),
        GOOD.replace(b"camt.053.001.02", b"camt.052.001.02"),
        b"<Document/>",
        b"<html><body>Log in</body></html>",
        document(""),
    ],
)
def test_another_namespace_or_no_statement_is_unknown(content):
    with pytest.raises(FileUnknown):
        read(content)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_broken(share):
    with pytest.raises(FileBroken):
        read(GOOD[: int(len(GOOD) * share)])


@pytest.mark.parametrize(
    "content",
    [
        GOOD + b"<more/>",
        GOOD.replace(b"</Ntry>", b"</Entry>", 1),
        GOOD.replace(b"<Id>2026-1</Id>", b"<Id>" + b"<x>" * 100 + b"</x>" * 100 + b"</Id>"),
        GOOD.replace(b"UTF-8", b"UTF-99"),
        GOOD.replace(b"<Amt Ccy='EUR'>0.00</Amt>", b"<Amt Ccy='EUR'>nothing</Amt>"),
    ],
)
def test_what_is_damaged_or_absurdly_deep_is_broken(content):
    with pytest.raises(FileBroken):
        read(content)


def test_a_statement_of_another_account_or_in_another_currency_is_refused():
    for content in (
        statement(Entry(amount="1.00"), iban="NL91ABNA0417164300"),
        statement(Entry(amount="1.00"), currency="USD"),
        GOOD.replace(b"<Ntry><Amt Ccy='EUR'>", b"<Ntry><Amt Ccy='USD'>", 1),
        document("<Stmt><Id>1</Id></Stmt>"),
    ):
        with pytest.raises(OtherAccount):
            read(content)


@pytest.mark.parametrize("closing", ["7.51", "10.00", "0.00"])
def test_lines_that_do_not_lead_from_the_opening_to_the_closing_balance_are_refused(closing):
    with pytest.raises(BalancesDiffer):
        read(statement(Entry(amount="10.00"), Entry(amount="2.50", side="DBIT"), closing=closing))


@pytest.mark.parametrize(
    "old, new, message",
    [
        (b">10.00<", b">10.001<", "At most 2 decimals are possible here."),
        (b">10.00<", b">ten<", "“ten” is no amount."),
        (b">10.00<", b">-10.00<", "“-10.00” is no amount."),
        (b">10.00<", b">1e1<", "“1e1” is no amount."),
        (b"<CdtDbtInd>CRDT</CdtDbtInd><RvslInd>", b"<CdtDbtInd>BOTH</CdtDbtInd><RvslInd>", "It is neither credit nor debit."),
        (b"<BookgDt><Dt>2026-11-20</Dt>", b"<BookgDt><Dt>20 November</Dt>", "“20 November” is no date."),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_is_told_with_its_place(old, new, message):
    content = statement(Entry(amount="5.00"), Entry(amount="10.00"), closing="15.00").replace(old, new)
    found = read(content)
    assert (2, message) in [(error.place, error.message) for error in found.errors]


def test_an_entry_of_zero_says_something_and_moves_nothing():
    found = read(statement(Entry(amount="0.00", text="Interest"), Entry(amount="1.00")))
    assert ([line.amount for line in found.lines], found.skipped) == ([D("1")], 1)


def test_a_batch_whose_parts_do_not_make_its_amount_stays_one_line():
    parts = "".join(
        f"<TxDtls><Amt Ccy='EUR'>{one}</Amt><RmtInf><Ustrd>part {one}</Ustrd></RmtInf></TxDtls>"
        for one in ("1.00", "2.00")
    )
    entry = (
        ntry(Entry(amount="5.00", bank_id="B")).replace("</NtryDtls>", "").split("<TxDtls>")[0]
        + parts
        + "</NtryDtls></Ntry>"
    )
    account = f"<Acct><Id><IBAN>{IBAN}</IBAN></Id></Acct>"
    (line,) = read(document(f"<Stmt><Id>1</Id>{account}{balance('CLBD', '5')}{entry}</Stmt>")).lines
    assert (line.amount, line.text, line.bank_id) == (D("5"), "part 1.00 part 2.00", "B")


def test_a_large_file_is_read_in_little_memory():
    content = statement(
        *(Entry(amount="1.00", text="x" * 300, who="Somebody", bank_id=str(n)) for n in range(6000))
    )
    lines = read(content).lines
    kept = len(lines) * 1500  # what the lines themselves are
    tracemalloc.start()
    read(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < kept + len(content)  # a tree of it would be several times the file


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=3))
def test_no_damage_ends_in_anything_but_lines_or_a_refusal(place, junk):
    try:
        read(GOOD[:place] + junk + GOOD[place + len(junk) :])
    except DomainError as refusal:
        assert refusal.field == "file"


# ── fingerprints ────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines_alike_to_the_letter_are_told_apart_by_counting_and_known_again():
    same, other = Entry(amount="1.00", text="Same"), Entry(amount="1.00", text="Other")
    first = fingerprints(read(statement(same, other, same)).lines)
    assert len(set(first)) == 3
    assert set(fingerprints(read(statement(same)).lines)) < set(first)
    later = Entry(amount="1.00", text="Same", day="2026-11-21")
    assert not set(fingerprints(read(statement(later)).lines)) & set(first)
