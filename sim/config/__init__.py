"""Words of a command line and values of a configuration: what they are, and to what they belong."""
