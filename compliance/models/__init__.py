"""Tables of compliance, by noun. Django finds models through this module."""

from compliance.models.approvals import Approval, ApprovalPolicy, ApprovalQuerySet, Vote
from compliance.models.clients import Client, ClientQuerySet, Desk, Membership, acted_for, desks_of
from compliance.models.decisions import Activity, Decision, MonitoringRule, Outcome
from compliance.models.limits import Limit, LimitOverride, Movement, Window

__all__ = [
    "Activity",
    "Approval",
    "ApprovalPolicy",
    "ApprovalQuerySet",
    "Client",
    "ClientQuerySet",
    "Decision",
    "Desk",
    "Limit",
    "LimitOverride",
    "Membership",
    "MonitoringRule",
    "Movement",
    "Outcome",
    "Vote",
    "Window",
    "acted_for",
    "desks_of",
]
