"""Sources of hospitals. One data set a file."""
