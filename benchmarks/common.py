"""What several benchmarks need: small shards, a limit of memory, and a digest of arrays."""

from __future__ import annotations

import hashlib
import resource
from pathlib import Path

import numpy as np

from skcnn._engine import sharding


def use_small_shards(elements=1000):
    """Cut batches into several shards, though the images are small."""
    sharding.ELEMENTS_PER_SHARD, sharding.WORK_WORTH_CUTTING = elements, 0


def limit_memory(n_bytes):
    """Let the process have only this number of bytes more than it has now."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + n_bytes, resource.RLIM_INFINITY))


def digest(arrays):
    """Return a text that is the same for the same bits."""
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()[:16]
