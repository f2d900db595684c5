"""Faults of hostile hospitals in a protocol of several trips: an answer -> another answer."""
