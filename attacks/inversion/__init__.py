"""Attacks on confidentiality by whoever sees updates: View -> guessed records."""
