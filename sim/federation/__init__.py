"""One run: hospitals, adversary, aggregator, and the rounds in which they talk."""
