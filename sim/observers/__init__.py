"""Observers: each measures one thing about a run and changes nothing; see
``sim.federation.rounds.Observer``.
"""
