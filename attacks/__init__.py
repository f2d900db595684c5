"""What an adversary does: poison records, change updates, draw conclusions; one attack a file."""
