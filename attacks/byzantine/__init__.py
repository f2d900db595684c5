"""Attacks on updates: what the hostile hospitals know -> what they send."""
