"""A custodian with books of its own: no coins, no chain, no account anywhere needed.

Modules
    ``addresses`` addresses that check, made from a name
    ``books``     addresses, coins that came, payouts, blocks; a file that survives ``kill -9``
    ``faults``    misbehavior on demand
    ``api``       what a custodian's customers call, below ``/v1/``, and what tests and demos call, below ``/simulator/``
    ``server``    both on one port, and a block every so often
    ``options``   its command line

It is faithful in how coins arrive (seen, in a block, buried or dropped) and how payouts are named and answered. It follows
no chain.
"""
