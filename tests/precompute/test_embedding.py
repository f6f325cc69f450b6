"""Embedding a unit: rows keep their order, failures are told, batches have one shape, memory stays bounded."""

import threading

import numpy as np
import pytest

from precompute.embedding import Embedder, embed_examples
from precompute.sources.source import Example
from tests.precompute.tiny_tower import tiny_tower
