"""Sentences and words of pages and tables."""
