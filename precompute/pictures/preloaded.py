"""What every preparing process needs, imported once before they are forked: seconds and memory that they share."""

from precompute.pictures import processes
from precompute.pictures.decoding import host_tensorflow

__all__ = ["processes"]

host_tensorflow()
