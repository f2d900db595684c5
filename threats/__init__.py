"""Threats and taxonomies as data, and a register with measured evidence behind each of them."""
