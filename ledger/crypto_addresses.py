"""Crypto addresses: whether an address is one of its network, by its own check sum.

Sources: Base58Check as Bitcoin's, BIP 173 (Bech32) and BIP 350 (Bech32m) for witness programs, EIP-55 for Ethereum's
capital letters. Testnet addresses are none here.
"""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from Crypto.Hash import keccak

from backoffice.errors import InvalidInput

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# Which networks carry a currency; the first is meant where none is named.
NETWORKS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"BTC": ("bitcoin",), "ETH": ("ethereum",), "USDT": ("tron", "ethereum"), "USDC": ("ethereum",)}
)


def checked(currency: str, network: str, address: str) -> tuple[str, str]:
    """The network and the address as they are kept.

    :raises InvalidInput: if the network does not carry the currency, or the address is none of its own.
    """
    known = NETWORKS.get(currency, ())
    network = network.strip().lower() or (known[0] if known else "")
    if network not in known:
        raise InvalidInput(f"{currency} is not paid on this network here.", field="network")
    address = address.strip()
    if not (address.isascii() and 20 <= len(address) <= 100) or not _CHECKS[network](address):
        raise InvalidInput(f"That is no address of the {network.capitalize()} network.", field="number")
    return network, address.lower() if address.lower().startswith("bc1") else address


def _is_bitcoin(address: str) -> bool:
    if address.lower().startswith("bc1"):
        return _is_witness(address)
    payload = _base58(address)
    return payload is not None and len(payload) == 21 and payload[0] in (0x00, 0x05)


def _is_tron(address: str) -> bool:
    payload = _base58(address)
    return payload is not None and len(payload) == 21 and payload[0] == 0x41


def _is_ethereum(address: str) -> bool:
    """Written in capitals as EIP-55 says: one without them is not checked by anything, so it is not taken."""
    digits = address.removeprefix("0x")
    if digits == address or len(digits) != 40 or any(sign not in "0123456789abcdefABCDEF" for sign in digits):
        return False
    found = keccak.new(digest_bits=256, data=digits.lower().encode()).hexdigest()
    return digits == "".join(
        sign.upper() if int(found[place], 16) >= 8 else sign for place, sign in enumerate(digits.lower())
    )


def _base58(address: str) -> bytes | None:
    """What a Base58Check address carries, its version first; None if it does not check."""
    number = 0
    for sign in address:
        place = BASE58.find(sign)
        if place < 0:
            return None
        number = number * 58 + place
    zeros = len(address) - len(address.lstrip("1"))
    raw = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
    payload, check = raw[:-4], raw[-4:]
    wanted = hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    return payload if len(raw) > 4 and check == wanted else None


def _is_witness(address: str) -> bool:
    if address != address.lower() and address != address.upper():
        return False
    body = address.lower()[3:]
    if len(address) > 90 or len(body) < 8 or any(sign not in BECH32 for sign in body):
        return False
    values = [BECH32.index(sign) for sign in body]
    # "bc" expanded, then the data; 1 is Bech32's remainder and 0x2bc830a3 Bech32m's.
    remainder = _polymod([3, 3, 0, 2, 3, *values])
    version = values[0]
    program = _regrouped(values[1:-6])
    if program is None or version > 16 or not 2 <= len(program) <= 40:
        return False
    if version == 0:
        return remainder == 1 and len(program) in (20, 32)
    return remainder == 0x2BC830A3


def _polymod(values: list[int]) -> int:
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATORS):
            found ^= generator if top >> place & 1 else 0
    return found


def _regrouped(values: list[int]) -> bytes | None:
    """Groups of five bits as bytes; None if what is left over is not padding of zeros."""
    number, bits = 0, len(values) * 5
    for value in values:
        number = number << 5 | value
    left = bits % 8
    if left >= 5 or number & ((1 << left) - 1):
        return None
    return (number >> left).to_bytes(bits // 8)


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {"bitcoin": _is_bitcoin, "ethereum": _is_ethereum, "tron": _is_tron}
)
