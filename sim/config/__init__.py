"""From words to checked values: what a configuration may say, and what is made of it."""
