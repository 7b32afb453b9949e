"""Training a network: the loop, what it is given, and what it changes."""
