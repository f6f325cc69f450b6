"""Imported once by the server that preparing processes are forked from, so that they share its seconds and memory."""

from lit_precompute.precompute.images import processes
from lit_precompute.precompute.images.libraries import host_tensorflow

__all__ = ["processes"]

host_tensorflow()
