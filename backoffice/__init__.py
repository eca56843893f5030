"""The kernel (errors, money, database, events, registry, models, admin) and the wiring (settings, urls, asgi, console)."""
