"""How the aggregator turns a view into an update; one rule or step a file, numpy only."""
