"""Tokenising: checks, the job, and the dataset that it results in."""

import dataclasses
from collections.abc import Sequence

from lit_precompute.pipelines.phases.job import Report
from lit_precompute.pipelines.phases.running import run
from lit_precompute.pipelines.tokens.job import TokenJob
from lit_precompute.precompute.deriving.derivation import Derived
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.precompute.deriving.tokens import open_tokenizer
from lit_precompute.schemas import DatasetError, Manifest
from lit_precompute.schemas.storage import absolute
from lit_precompute.schemas.writing.publishing import check_files


def tokenise(
    options: DeriveOptions, *, beam_flags: Sequence[str] = (), report: Report = lambda progress: None
) -> Derived:
    """Writes a dataset that refers to another one and has the tokens of its texts.

    An interrupted call is resumed by an equal one.

    Args:
      options: what to tokenise; `tokens` is given.
      beam_flags: Beam's pipeline options; without any the job runs in this process, and needs no Beam.
      report: called as the work goes on.

    Raises:
      DatasetError: the base cannot be read, or has no texts; or what was written before is damaged.
      ClaimError: the output belongs to another job, or contains other files.
      ValueError: the tokenizer, the options or the flags cannot be used.
      PhasedJobError: a worker failed; what is finished is kept.
    """
    base_path = absolute(options.base, what="dataset", writing=False)
    options = dataclasses.replace(options, base=base_path, output=absolute(options.output))
    if f"{options.output}/".startswith(f"{options.base}/"):
        raise DatasetError(f"{options.output}: is within the dataset; choose another --output")
    base = Manifest.read(options.base)
    assert options.tokens is not None, "which tokenizer is an option"
    job = TokenJob.plan(options, base, open_tokenizer(options.tokens, lower_case=options.lower_case))
    if (manifest := job.output.published(job.described())) is not None:
        check_files(job.output.folder, manifest.shards, manifest.tables, manifest.references)
        job.output.sweep()
        return Derived(manifest=manifest, matches={}, was_there=True)
    run(job, beam_flags, {"BASE": options.base, "--output": options.output}, report)
    return Derived(manifest=job.publish(base), matches={})
