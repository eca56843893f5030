"""The console of compliance: clients on one page, desks, and who may see which client's rows."""

from compliance.admin import approvals, clients, console, desks  # noqa: F401
