"""The four values of a run: what all agreed on, one hospital's own, the attack, and the truth."""
