"""What the aggregator does with the aggregate before it moves the model: one optimizer a file."""
