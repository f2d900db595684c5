"""Attacks by an aggregator that breaks what was agreed: Demand -> another Demand."""
