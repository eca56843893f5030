"""The custodian: who keeps our coins, gives clients addresses to pay to, and pays coins out.

`client` speaks to it over HTTP, `simulator` is one to speak to. What we do with coins that came is in `ledger.crypto_deposits`;
what leaves goes through `ledger.providers.crypto`.
"""
