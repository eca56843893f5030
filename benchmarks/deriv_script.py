# mypy: ignore-errors
"""Deriv's own Python client in its own environment: propose and buy, one after the other, and nothing else.

Argument: JSON with endpoint, token, count. Prints JSON with rate (purchases/s) and every loop's milliseconds.
"""

import asyncio
import json
import sys
import time

from deriv_api import DerivAPI


async def main():
    given = json.loads(sys.argv[1])
    api = DerivAPI(endpoint=given["endpoint"], app_id=1234)
    await api.authorize(given["token"])
    took, begun = [], time.perf_counter()
    for number in range(given["count"]):
        started = time.perf_counter()
        terms = {
            "contract_type": "CALL",
            "currency": "USD",
            "amount": round(1 + (number % 300) / 100, 2),
            "basis": "stake",
        }
        proposal = (
            await api.proposal(
                {"proposal": 1, **terms, "symbol": "R_100", "duration": 15, "duration_unit": "m"}
            )
        )["proposal"]
        await api.buy({"buy": proposal["id"], "price": proposal["ask_price"]})
        took.append((time.perf_counter() - started) * 1000)
    print(json.dumps({"rate": given["count"] / (time.perf_counter() - begun), "took": took}))
    await api.clear()


asyncio.run(main())
