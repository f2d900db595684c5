"""Attacks on training records: Records -> Records."""
