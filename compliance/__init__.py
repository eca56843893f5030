"""Clients and what we must know of them."""
