"""Round protocols: each is the aggregator's half and the hospital's half of one round."""
