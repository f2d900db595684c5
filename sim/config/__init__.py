"""From words to checked values: what a configuration may hold, and what is made of it."""
