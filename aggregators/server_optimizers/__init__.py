"""Server optimizers: an aggregate in, the step of the model out; one optimizer a file."""
