"""Trading at venues."""
