"""Aggregation rules: the view of a round in, one update out; one rule a file."""
