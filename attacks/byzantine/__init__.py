"""Attacks on updates: Knowledge of the hostile hospitals -> the rows that they send."""
