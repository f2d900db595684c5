"""Observers: each measures one thing about a run; see ``sim.federation.observing.Observer``."""
