"""Inference attacks after a run: what each party holds, the questions, and how answers score."""
