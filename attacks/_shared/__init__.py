"""Code that several attacks share; no attack is in here."""
