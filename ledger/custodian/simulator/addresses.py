"""Addresses that check, each made from a name: the same name gives the same address."""

import hashlib

from Crypto.Hash import keccak

from ledger.crypto_addresses import BASE58

VERSIONS = {"bitcoin": b"\x00", "tron": b"\x41"}


def made(network: str, name: str) -> str:
    """An address of the network as its wallets show it."""
    body = hashlib.sha256(f"{network}|{name}".encode()).digest()[:20]
    return _ethereum(body) if network == "ethereum" else _base58(VERSIONS[network] + body)


def _ethereum(body: bytes) -> str:
    digits = body.hex()
    found = keccak.new(digest_bits=256, data=digits.encode()).hexdigest()
    return "0x" + "".join(
        sign.upper() if int(found[place], 16) >= 8 else sign for place, sign in enumerate(digits)
    )


def _base58(payload: bytes) -> str:
    raw = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, signs = int.from_bytes(raw), ""
    while number:
        number, place = divmod(number, 58)
        signs = BASE58[place] + signs
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + signs
