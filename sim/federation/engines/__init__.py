"""Ways to run the same Flower objects."""
