"""Engines: ways to run the same Flower objects."""
