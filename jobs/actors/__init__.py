"""The actors, one module per app. Each reads its arguments, calls one verb, and is declared with `jobs.declare.actor`."""
