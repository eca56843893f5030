"""Status reports of a bank about a file of payments: ISO 20022 pain.002.001.03 to .12. Pure: neither Django nor the clock.

Source: the message definition "CustomerPaymentStatusReport" of ISO 20022. A status of the whole file, or of its one
block of payments, holds for each payment that the report does not name itself.
"""

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ledger.bank.lines import FileBroken, FileForbidden, FileTooLarge, FileUnknown, cut

_KNOWN: Final = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:pain\.002\.001\.(?:0[3-9]|1[0-2]))\}Document")
MOST_BYTES: Final = 5 * 2**20
REJECTED: Final = "RJCT"
# Taken, and on its way or done; only the statement says that money left. PART leaves it to the single payments.
TAKEN: Final = frozenset({"RCVD", "ACTC", "ACCP", "ACSP", "ACWC", "ACWP", "ACSC", "ACCC", "PATC"})


@dataclass(frozen=True, slots=True)
class Said:
    """What the bank says of one payment, or of all: its status, and why, as a code and in its words."""

    status: str
    code: str = ""
    text: str = ""

    @property
    def is_rejected(self) -> bool:
        return self.status == REJECTED

    @property
    def is_taken(self) -> bool:
        return self.status in TAKEN


@dataclass(frozen=True, slots=True)
class Report:
    """A status report: about which file, what of all of it, and what of single payments, by end-to-end id."""

    message_id: str
    whole: Said
    payments: dict[str, Said]

    def of(self, end_to_end_id: str) -> Said:
        return self.payments.get(end_to_end_id, self.whole)


def read(content: bytes) -> Report:
    """What a report says.

    :raises FileTooLarge: before anything of it is read. :raises FileForbidden: if it has a document type or entities.
    :raises FileBroken: if it is no XML, or names no file. :raises FileUnknown: if it is no pain.002 of a version we know.
    """
    if len(content) > MOST_BYTES:
        raise FileTooLarge(f"At most {MOST_BYTES // 2**20} MB are taken in.")
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException:
        raise FileForbidden("The file has a document type or entities; no bank's report has.") from None
    except (ParseError, UnicodeError, LookupError, ValueError) as wrong:
        raise FileBroken(f"The file cannot be read: {str(wrong)[:100]}.") from None
    known = _KNOWN.fullmatch(root.tag)
    if known is None:
        raise FileUnknown("This is no pain.002 status report of version 001.03 to 001.12.")
    space = {"": known[1]}
    group = root.find("CstmrPmtStsRpt/OrgnlGrpInfAndSts", space)
    message_id = group.findtext("OrgnlMsgId", "", space).strip() if group is not None else ""
    if group is None or not message_id:
        raise FileBroken("The report does not name the file that it is about.")
    whole = _said(group, "GrpSts", space)
    payments: dict[str, Said] = {}
    for block in root.findall("CstmrPmtStsRpt/OrgnlPmtInfAndSts", space):
        of_block = _said(block, "PmtInfSts", space)
        # We write one block a file, so what is said of the block is said of all.
        whole = of_block if of_block.status else whole
        for one in block.findall("TxInfAndSts", space):
            name = one.findtext("OrgnlEndToEndId", "", space).strip()
            if name:
                payments[name] = _said(one, "TxSts", space)
    return Report(message_id, whole, payments)


def _said(part: Element, status: str, space: dict[str, str]) -> Said:
    why = part.find("StsRsnInf", space)
    if why is None:
        return Said(part.findtext(status, "", space).strip())
    code = why.findtext("Rsn/Cd", "", space) or why.findtext("Rsn/Prtry", "", space)
    text = " ".join(one.text or "" for one in why.findall("AddtlInf", space))
    return Said(part.findtext(status, "", space).strip(), cut(code, 35), cut(text, 300))
