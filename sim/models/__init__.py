"""Models: what a schema is given to, and the networks that come back."""
