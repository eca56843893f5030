"""Approvals, wherever the console shows them."""

from backoffice.admin import ports
from backoffice.admin.ports import Unfinished
from compliance.models import Approval

ports.unfinished.register(
    Approval._meta.label_lower,
    Unfinished(Approval, "Approvals", "compliance.view_approval", ("client", "currency", "role")),
    order=5,
)
