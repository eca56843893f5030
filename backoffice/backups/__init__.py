"""Backups that are known to be good: made at one moment, described by a manifest, proved by restoring them.

- ``tools``: PostgreSQL's own programs that fit the server, and how they are run.
- ``manifest``: what a backup says about itself.
- ``making``: ``make(folder)``.
- ``scratch``: a database beside ours that is gone afterwards.
- ``drill``: ``drill(folder)`` restores a backup into a scratch database and proves it.
- ``verifications``: the port where apps register what must hold in a restored database.
"""
