"""Attacks that infer something about patients from what a party holds after a run."""
