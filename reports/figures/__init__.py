"""Frames in, labelled matplotlib figures out."""
