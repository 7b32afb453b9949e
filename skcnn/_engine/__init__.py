"""Passes through a lowered chain of layers, in shards and on several threads."""
