"""`streams`: the supervised process that owns every long-lived socket to a venue.

- `leases`: one process at a time per account, by a lease in Redis that ends by itself.
- `link`: one account's connection: connect, authorise, follow, answer questions, reconnect.
- `process`: leases accounts, hands questions to their links, and stops gracefully.

It decides nothing and records nothing: actors do. A question that is answered too late is not sent.
"""
