"""Attacks on how a hostile hospital trains while it attacks: Training -> Training."""
