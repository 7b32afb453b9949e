"""What the classifier is made of."""
