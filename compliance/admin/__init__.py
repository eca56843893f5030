"""The console of compliance: clients on one page, desks, who may see which client's rows; approvals, limits, decisions."""

from compliance.admin import approvals, clients, console, decisions, desks, limits, policies  # noqa: F401
