"""Attacks on the decisions of a final model: records -> records that it decides otherwise."""
