"""camt.053 files as banks write them, made from a few facts: each bank's way is a function."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

SPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.{}"
IBAN: Final = "DE89370400440532013000"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A booked entry: what a bank would say of it."""

    amount: str
    text: str = ""
    who: str = ""
    iban: str = ""
    end_to_end: str = ""
    bank_id: str = ""
    side: str = "CRDT"
    day: str = "2026-11-20"
    reversal: bool = False

    @property
    def signed(self) -> Decimal:
        return Decimal(self.amount) if self.side == "CRDT" else -Decimal(self.amount)


def document(body: str, version: str = "02") -> bytes:
    head = "<GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-11-21T06:00:00</CreDtTm></GrpHdr>"
    xml = f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{SPACE.format(version)}">'
    return f"{xml}<BkToCstmrStmt>{head}{body}</BkToCstmrStmt></Document>".encode()


def balance(kind: str, amount: Decimal | str, currency: str = "EUR", day: str = "2026-11-20") -> str:
    value = Decimal(amount)
    side = "DBIT" if value < 0 else "CRDT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy='{currency}'>{abs(value):.2f}</Amt>"
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def statement(*entries: Entry, opening: str = "0.00", closing: str | None = None, version: str = "02", iban: str = IBAN,
              currency: str = "EUR", number: str = "2026-1") -> bytes:  # fmt: skip
    """A plain statement, as most banks write it; its closing balance follows unless given."""
    end = closing if closing is not None else Decimal(opening) + sum(entry.signed for entry in entries)
    account = f"<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>{currency}</Ccy></Acct>"
    balances = balance("OPBD", opening, currency) + balance("CLBD", end, currency)
    rows = "".join(ntry(entry, version, currency) for entry in entries)
    return document(f"<Stmt><Id>{number}</Id>{account}{balances}{rows}</Stmt>", version)


def ntry(entry: Entry, version: str = "02", currency: str = "EUR") -> str:
    status = "BOOK" if int(version) < 8 else "<Cd>BOOK</Cd>"
    return (
        f"<Ntry><Amt Ccy='{currency}'>{entry.amount}</Amt><CdtDbtInd>{entry.side}</CdtDbtInd>"
        f"<RvslInd>{'true' if entry.reversal else 'false'}</RvslInd><Sts>{status}</Sts>"
        f"<BookgDt><Dt>{entry.day}</Dt></BookgDt><ValDt><Dt>{entry.day}</Dt></ValDt>"
        f"{_maybe('AcctSvcrRef', entry.bank_id)}<NtryDtls><TxDtls>{details(entry, version)}</TxDtls></NtryDtls></Ntry>"
    )


def details(entry: Entry, version: str = "02") -> str:
    """The inside of `TxDtls`: references, who, and words."""
    who = (
        ("Dbtr" if entry.side == "CRDT" else "Cdtr")
        if not entry.reversal
        else ("Cdtr" if entry.side == "CRDT" else "Dbtr")
    )
    name = f"<Nm>{entry.who}</Nm>" if int(version) < 8 else f"<Pty><Nm>{entry.who}</Nm></Pty>"
    party = f"<{who}>{name}</{who}>" if entry.who else ""
    account = f"<{who}Acct><Id><IBAN>{entry.iban}</IBAN></Id></{who}Acct>" if entry.iban else ""
    words = f"<RmtInf><Ustrd>{entry.text}</Ustrd></RmtInf>" if entry.text else ""
    refs = f"<Refs><EndToEndId>{entry.end_to_end or 'NOTPROVIDED'}</EndToEndId></Refs>"
    return f"{refs}<RltdPties>{party}{account}</RltdPties>{words}"


def _maybe(tag: str, text: str) -> str:
    return f"<{tag}>{text}</{tag}>" if text else ""
