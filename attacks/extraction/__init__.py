"""Attacks that copy a final model by asking it."""
