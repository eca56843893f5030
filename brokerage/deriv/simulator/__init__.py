"""A venue that speaks Deriv's protocol, with books of its own. No money, no market, no Deriv account needed.

Modules
    ``catalog``   the symbols, contracts and limits on offer
    ``prices``    seeded ticks: price *n* of a symbol is a function of (seed, symbol, n) alone
    ``clock``     when tick *n* falls due, at the chosen speed
    ``pricing``   the arithmetic of what a contract costs and what it is worth
    ``valuing``   a sold contract in the market: its worth, whether it is bought back, how it ends
    ``transfers`` which money may move between one user's accounts
    ``payments``  payment agents: transfers to clients, clients' withdrawals
    ``copying``   whose purchases an account copies, and how a trader has done
    ``books``     accounts, contracts, followings, statement lines
    ``store``     the books' file; it survives ``kill -9``
    ``engine``    the venue: opens accounts, sells, buys back, settles. Knows no protocol
    ``events``    what happens at the venue, for whoever streams it
    ``faults``    misbehavior on demand
    ``v3``        the protocol of generation v3 over the engine
    ``control``   the HTTP interface under ``/simulator/``
    ``server``    all of it on one port

It is faithful in protocol, prices' form, rules and refusals; it is not a forecast of Deriv's prices.
"""
