"""Steps: a view in, a view out, before a rule; one step a file."""
