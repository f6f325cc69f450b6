"""What every preparing process needs, imported once before they are forked: seconds and memory that they share."""

from lit_precompute.precompute.images import processes
from lit_precompute.precompute.images.libraries import host_tensorflow

__all__ = ["processes"]

host_tensorflow()
