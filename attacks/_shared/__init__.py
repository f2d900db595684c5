"""What several attacks share; no attack is in here."""
