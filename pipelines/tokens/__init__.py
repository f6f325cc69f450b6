"""Tokenising a dataset's texts once: `tokenise`, and the job that it runs, here or on an engine of Beam's."""

from lit_precompute.pipelines.tokens.tokenising import tokenise as tokenise
