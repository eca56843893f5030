"""The double-entry ledger: books, accounts, journal entries, postings and holds.

accounts   open, find and close accounts; balances now and at any past time
journal    post entries, one or many at once, and reverse them
holds      set money aside: place, capture, release, expire, transfer
verify     recompute everything from the postings and say what differs
reports    trial balance and statements
text       entries as accounting text
deposits   money clients said would come, and what came
fees       what we take of payments
references what clients write on payments
bank       our bank accounts: statements, matching, suspense

Balances live in the database's hands: a posting moves its account's balance by trigger, a hold moves what is held,
and nothing else can. See `docs/ledger.md`.
"""
