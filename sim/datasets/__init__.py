"""Sources of hospitals: one data set a file."""
