"""Imported once by the server that preparing processes are forked from, so that they share its seconds and memory."""

from lit_precompute.precompute.images import process_work
from lit_precompute.precompute.images.libraries import host_tensorflow

__all__ = ["process_work"]

host_tensorflow()
