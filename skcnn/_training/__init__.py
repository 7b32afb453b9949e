"""Training a network: the training loop, its config, and the training state."""
