"""The version, on its own so that all may import it."""

__version__ = "0.1.0"
