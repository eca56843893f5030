"""Files of credit transfers for a bank: ISO 20022 pain.001.001.03 and .09. Pure: neither Django nor the clock.

Sources: the message definitions "CustomerCreditTransferInitiation" V03 and V09 of ISO 20022, and the European Payments
Council's implementation guidelines for customers for the characters that every bank takes and for ids of 35.
"""

import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

VERSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"001.03": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03", "001.09": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}
)  # fmt: skip
_STRANGE: Final = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_LETTERS: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "&": "+"}
)


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with an account: `bic` is empty where the bank finds it by the IBAN."""

    name: str
    iban: str
    bic: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One payment of a file. The amount is written with as many decimals as it has."""

    end_to_end_id: str
    amount: Decimal
    to: Party
    text: str


@dataclass(frozen=True, slots=True)
class File:
    """What a file says: from which account of ours, on which day, which transfers; all in one currency."""

    version: str
    message_id: str
    made_at: datetime
    pay_on: date
    currency: str
    payer: Party
    transfers: Sequence[Transfer]

    @property
    def control_sum(self) -> Decimal:
        return sum((one.amount for one in self.transfers), Decimal(0))


def written(file: File) -> bytes:
    """The file as XML, the same for the same content to the last byte.

    :raises ValueError: if there is no transfer, or an id is not 1 to 35 characters that every bank takes.
    """
    if not file.transfers:
        raise ValueError("A file has at least one transfer.")
    for id_ in (file.message_id, *(one.end_to_end_id for one in file.transfers)):
        if (
            not 1 <= len(id_) <= 35
            or _STRANGE.search(id_)
            or "//" in id_
            or id_.startswith("/")
            or id_.endswith("/")
        ):
            raise ValueError(f"“{id_}” is no id that every bank takes.")
    root = ET.Element("Document", xmlns=VERSIONS[file.version])
    message = ET.SubElement(root, "CstmrCdtTrfInitn")
    header = ET.SubElement(message, "GrpHdr")
    _put(header, "MsgId", file.message_id)
    _put(header, "CreDtTm", file.made_at.strftime("%Y-%m-%dT%H:%M:%S"))
    _put(header, "NbOfTxs", str(len(file.transfers)))
    _put(header, "CtrlSum", f"{file.control_sum:f}")
    _put(header, "InitgPty/Nm", plain(file.payer.name, 70))
    group = ET.SubElement(message, "PmtInf")
    _put(group, "PmtInfId", file.message_id)
    _put(group, "PmtMtd", "TRF")
    _put(group, "BtchBookg", "false")  # each is a line of the statement, so that it is found again there
    _put(group, "NbOfTxs", str(len(file.transfers)))
    _put(group, "CtrlSum", f"{file.control_sum:f}")
    if file.currency == "EUR":
        _put(group, "PmtTpInf/SvcLvl/Cd", "SEPA")
    _put(group, "ReqdExctnDt" if file.version == "001.03" else "ReqdExctnDt/Dt", file.pay_on.isoformat())
    _put(group, "Dbtr/Nm", plain(file.payer.name, 70))
    _account(group, "DbtrAcct", file.payer.iban, file.currency)
    _agent(group, "DbtrAgt", file.payer.bic, file.version)
    _put(group, "ChrgBr", "SLEV")
    for one in file.transfers:
        _transfer(group, one, file)
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return body + b"\n"


def plain(text: str, length: int) -> str:
    """Text in the characters that every bank takes: accents are dropped, what is left strange becomes a space."""
    folded = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    ascii_ = "".join(sign for sign in folded if not unicodedata.combining(sign))
    return " ".join(_STRANGE.sub(" ", ascii_).split())[:length].strip() or "-"


def _transfer(group: ET.Element, one: Transfer, file: File) -> None:
    node = ET.SubElement(group, "CdtTrfTxInf")
    _put(node, "PmtId/EndToEndId", one.end_to_end_id)
    _put(node, "Amt/InstdAmt", f"{one.amount:f}").set("Ccy", file.currency)
    if one.to.bic:
        _agent(node, "CdtrAgt", one.to.bic, file.version)
    _put(node, "Cdtr/Nm", plain(one.to.name, 70))
    _account(node, "CdtrAcct", one.to.iban)
    _put(node, "RmtInf/Ustrd", plain(one.text, 140))


def _agent(node: ET.Element, tag: str, bic: str, version: str) -> None:
    if bic:
        _put(node, f"{tag}/FinInstnId/{'BIC' if version == '001.03' else 'BICFI'}", bic)
    else:
        _put(node, f"{tag}/FinInstnId/Othr/Id", "NOTPROVIDED")


def _account(node: ET.Element, tag: str, iban: str, currency: str = "") -> None:
    account = ET.SubElement(node, tag)
    _put(account, "Id/IBAN", iban)
    if currency:
        _put(account, "Ccy", currency)


def _put(node: ET.Element, path: str, text: str) -> ET.Element:
    """A new element at the end of a path, whose own elements are made new too."""
    for tag in path.split("/"):
        node = ET.SubElement(node, tag)
    node.text = text
    return node
