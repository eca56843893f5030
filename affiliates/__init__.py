"""Affiliates: referrals and commission (its models arrive with the affiliates release)."""
