"""The attacks of an adversary, on records, updates and models; one attack a file."""
