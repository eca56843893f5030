"""Embedded PostgreSQL and Redis for machines that have neither."""

from pathlib import Path


def database_url(data_dir: Path) -> str:
    """Where the embedded PostgreSQL of this data folder listens."""
    return f"postgres://nexus@%2Ftmp%2Fnexus/nexus?dir={data_dir.name}"


def redis_url(data_dir: Path) -> str:
    """Where the embedded Redis of this data folder listens."""
    return f"unix:///tmp/nexus/redis.sock?dir={data_dir.name}"
