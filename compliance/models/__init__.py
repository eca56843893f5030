"""Tables of compliance, by noun. Django finds models through this module."""

from compliance.models.clients import Client, ClientQuerySet, Desk, Membership, acted_for, desks_of

__all__ = ["Client", "ClientQuerySet", "Desk", "Membership", "acted_for", "desks_of"]
