"""Records of runs in, frames and sentences about them out; one question a file."""
