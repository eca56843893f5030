"""Signals, alerts and notifications (its models arrive with the signals release)."""
