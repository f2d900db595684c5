"""Threats and taxonomies as data, and the register that puts measured evidence behind each."""
