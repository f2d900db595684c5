"""The aggregator's way from a view to an update; one rule or step a file, numpy only."""
