"""Attacks on confidentiality by a party that sees updates: Observation -> guessed records."""
