"""Attacks on a protocol by the aggregator that leads it: its half of a round -> another half."""
