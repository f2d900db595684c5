"""What an adversary does: poison records, send other updates, or draw conclusions from what it
sees. One attack a file.
"""
