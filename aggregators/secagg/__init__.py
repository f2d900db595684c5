"""Forms of secure aggregation: the view that the aggregator gets of updates; one form a file."""
