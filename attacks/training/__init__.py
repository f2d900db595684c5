"""Attacks on the training itself: Training -> Training, how a hostile hospital trains while it
attacks.
"""
