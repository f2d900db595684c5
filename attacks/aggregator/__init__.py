"""Attacks by an aggregator that breaks what was agreed: Demand -> what it asks of hospitals
instead.
"""
