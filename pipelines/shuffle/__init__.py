"""Rewriting a dataset in random order: `shuffle`, and the job that it runs, here or on an engine of Beam's."""

from lit_precompute.pipelines.shuffle.options import ShuffleOptions as ShuffleOptions
from lit_precompute.pipelines.shuffle.shuffling import shuffle as shuffle
