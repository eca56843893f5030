"""The kernel's tables, by noun: users, sessions, currencies, the event log, mail. Django finds models through this module."""

from backoffice.models.configuration import Currency, HistoricalModel
from backoffice.models.log import Access, Event, EventQuerySet, Reason, RequestKey
from backoffice.models.mail import Mail, MailedToken, MailQuerySet
from backoffice.models.people import LogInLock, RecoveryCode, SecondFactor, User, UserManager
from backoffice.models.sessions import RefreshToken, Session

__all__ = [
    "Access",
    "Currency",
    "Event",
    "EventQuerySet",
    "HistoricalModel",
    "LogInLock",
    "Mail",
    "MailQuerySet",
    "MailedToken",
    "Reason",
    "RecoveryCode",
    "RefreshToken",
    "RequestKey",
    "SecondFactor",
    "Session",
    "User",
    "UserManager",
]
