"""Attacks on the reply itself: what a hostile hospital would have sent -> what it sends."""
