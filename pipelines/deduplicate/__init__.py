"""Removing near-duplicates from a dataset: `deduplicate`, and the job that it runs, here or on an engine of Beam's."""

from lit_precompute.pipelines.deduplicate.deduplicating import deduplicate as deduplicate
from lit_precompute.pipelines.deduplicate.options import DeduplicateOptions as DeduplicateOptions
