"""The passes through a chain of layers: lowered, cut into shards, on threads."""
