"""`streams`: the supervised process that owns every long-lived socket to a venue.

- `leases`: one process at a time per account, by a lease in Redis that ends by itself.
- `sharing`: how many processes there are, and how many accounts each of them holds.
- `holding`: the links this process holds: leases taken, renewed, given back.
- `link`: one account's connection: connect, authorise, follow, answer questions, reconnect.
- `budget`: how often each account may ask, counted for all processes together.
- `wire_log`: the last messages of each account, for people.
- `process`: the loops; hands questions to links, reports what they say, and stops gracefully.

It decides nothing and records nothing: actors do. A question that is answered too late is not sent.
"""
