"""Why banks do not pay or send back, in words that a client understands.

Source: the external code sets of ISO 20022, "ExternalStatusReason1Code" and "ExternalReturnReason1Code"; those that
happen to credit transfers, in words of our own.
"""

from typing import Final

_WORDS: Final = {
    "AC01": "The account number is not right",
    "AC03": "The account number is not right for this bank",
    "AC04": "The account is closed",
    "AC06": "The account is blocked",
    "AC14": "The account cannot take this kind of payment",
    "AG01": "The account takes no such payments",
    "AG02": "The bank does not take this kind of payment",
    "AM02": "The amount is above what the bank takes",
    "AM05": "The bank takes it for a payment made twice",
    "AM09": "The amount is not the one agreed",
    "BE01": "The name does not belong to the account",
    "BE04": "The holder's address is missing",
    "CNOR": "The bank is not known in this payment system",
    "DNOR": "The paying bank is not known in this payment system",
    "CUST": "The holder of the account did not want it",
    "DT01": "The date is not right",
    "ED05": "The payment could not be settled between the banks",
    "FF01": "The file was not understood",
    "FOCR": "It was called back",
    "MD07": "The holder of the account has died",
    "MS02": "The holder of the account did not want it",
    "MS03": "The bank gave no reason",
    "NARR": "",
    "NOAS": "The holder of the account did not answer",
    "RC01": "The bank's code is not right",
    "RC07": "The bank's code is not right",
    "RR01": "The bank needs the payer's account",
    "RR02": "The bank needs the payer's name or address",
    "RR03": "The bank needs the holder's name or address",
    "RR04": "The bank stopped it for legal reasons",
    "TM01": "It came too late in the day",
}


def of(code: str) -> str:
    """What a code means; empty for one that says nothing to a client."""
    return _WORDS.get(code.strip().upper(), "")
