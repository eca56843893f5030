"""Actors of the jobs themselves."""

from jobs import dead_letters
from jobs.declare import actor


@actor("jobs.resend", time_limit_seconds=30, every=10, max_retries=0)
def resend() -> None:
    """Send failed jobs that somebody decided to send again and that did not go out at once."""
    dead_letters.sweep()
