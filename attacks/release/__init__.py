"""Checks of a final model before it leaves the consortium; they train nothing."""
