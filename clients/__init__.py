"""Code that runs inside a hospital."""
