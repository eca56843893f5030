# mypy: ignore-errors
"""A trading session with Deriv's own client, unchanged. Runs in that client's environment, not in ours.

Arguments: v3, endpoint, token; or v4 and an address of a socket that opens once. Writes one JSON object to standard
output: what it saw, and every frame.
"""

import asyncio
import json
import sys

import websockets
from deriv_api import DerivAPI
from deriv_api.errors import ResponseError

FRAMES = {"send": [], "message": []}
GENERATION = sys.argv[1]
TERMS = {"contract_type": "CALL", "currency": "USD", "amount": 10, "basis": "stake"}
TERMS["symbol" if GENERATION == "v3" else "underlying_symbol"] = "1HZ100V"


def record(event):
    if event["name"] in FRAMES:
        FRAMES[event["name"]].append(event["data"])


async def follow(api, contract_id, fits):
    """Subscribe to a contract until its state fits."""
    found = asyncio.get_running_loop().create_future()
    source = await api.subscribe({"proposal_open_contract": 1, "contract_id": contract_id})

    def look(frame):
        state = frame["proposal_open_contract"]
        if fits(state) and not found.done():
            found.set_result(state)

    watching = source.subscribe(look, lambda error: found.set_exception(error))
    state = await asyncio.wait_for(found, 15)
    watching.dispose()
    return state


async def begin(*arguments):
    """The client, with what generation v3 alone has done."""
    if GENERATION == "v4":
        # It knows no address but v3's; a socket that is open already it takes as it is.
        api = DerivAPI(connection=await websockets.connect(arguments[0]))
        api.events.subscribe(record)
        return api, {}
    endpoint, token = arguments
    api = DerivAPI(endpoint=endpoint, app_id=1234)
    api.events.subscribe(record)
    seen = {"authorize": (await api.authorize(token))["authorize"]}
    await api.website_status({"website_status": 1})
    return api, seen


async def price(api, **terms):
    """Its own method for a price insists on v3's field for the symbol; what sends anything does not."""
    return (await api.send({"proposal": 1, **TERMS, **terms}))["proposal"]


async def trade(*arguments):
    api, seen = await begin(*arguments)
    seen["ping"] = (await api.ping({"ping": 1}))["ping"]
    await api.time({"time": 1})
    await api.active_symbols({"active_symbols": "brief"})
    await api.contracts_for({"contracts_for": "1HZ100V"})
    await api.ticks_history({"ticks_history": "1HZ100V", "end": "latest", "count": 5})

    ticks = []
    enough = asyncio.get_running_loop().create_future()

    def count(frame):
        ticks.append(frame["tick"]["quote"])
        if len(ticks) >= 3 and not enough.done():
            enough.set_result(None)

    (await api.subscribe({"ticks": "1HZ100V"})).subscribe(count)
    await asyncio.wait_for(enough, 15)
    await api.forget_all("ticks")
    seen["ticks"] = ticks[:3]

    proposal = await price(api, duration=1, duration_unit="t")
    first = (await api.buy({"buy": proposal["id"], "price": proposal["ask_price"]}))["buy"]
    seen["settled"] = await follow(api, first["contract_id"], lambda state: state["is_sold"] == 1)

    proposal = await price(api, duration=5, duration_unit="m")
    second = (await api.buy({"buy": proposal["id"], "price": 10}))["buy"]
    await follow(api, second["contract_id"], lambda state: state["is_valid_to_sell"] == 1)
    seen["portfolio"] = (await api.portfolio({"portfolio": 1}))["portfolio"]["contracts"]
    seen["sold"] = (await api.sell({"sell": second["contract_id"], "price": 0}))["sell"]
    seen["statement"] = (await api.statement({"statement": 1, "description": 1}))["statement"]["transactions"]
    seen["profit_table"] = (await api.profit_table({"profit_table": 1}))["profit_table"]["transactions"]
    seen["balance"] = (await api.balance({"balance": 1}))["balance"]
    try:
        await api.buy({"buy": proposal["id"], "price": 10})
    except ResponseError as error:
        seen["used_proposal"] = str(error)
    await api.logout({"logout": 1})
    await api.clear()
    if GENERATION == "v4":
        await api.wsconnection.close()  # whose socket it was
    return seen


async def main():
    seen = await asyncio.wait_for(trade(*sys.argv[2:]), 50)
    json.dump({"seen": seen, "frames": FRAMES}, sys.stdout)


asyncio.run(main())
