"""What the aggregator does with what it sees. One rule or step a file; numpy only."""
