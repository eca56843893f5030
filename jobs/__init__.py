"""The edge for time: Dramatiq actors and the schedule."""
