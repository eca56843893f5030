"""Loans and collateral (its models arrive with the lending release)."""
