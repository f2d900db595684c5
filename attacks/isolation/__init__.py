"""Attacks on sums of updates by the aggregator and its colluders: Pooled -> Isolated."""
