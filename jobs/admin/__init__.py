"""The jobs' console: at a glance, the schedule, and what failed for good."""

from jobs.admin import dead_letters, glance  # noqa: F401
