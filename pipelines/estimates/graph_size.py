"""The size of a job's graph, which Dataflow limits: of the graph that the job would submit."""

import uuid
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from lit_precompute.pipelines.embed import graph
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.planned_files import PlannedFiles
from lit_precompute.precompute.sources.source import ListedFile, Source

LIMIT_BYTES = 10_000_000


def graph_bytes(
    jobs: Sequence[EmbedOptions], source: Source, files: Sequence[ListedFile], *, num_units: int, looks_here: bool
) -> int:
    """Returns the bytes of the graph in Beam's own form.

    Args:
      jobs: what would be embedded, with each tower.
      source: the source.
      files: its files.
      num_units: shards to embed.
      looks_here: whether the launcher looks into the files, so that the graph has only the other phase.
    """
    paths = [file.path for file in files]
    launch = LaunchOptions(
        embed=jobs[0],
        others=tuple(jobs[1:]),
        source=source,
        name=uuid.uuid4().hex,
        files=PlannedFiles.of(paths, paths),
    )
    pipeline = beam.Pipeline(runner=FnApiRunner())
    if looks_here:
        graph.build_planned(pipeline, launch, num_units, [set() for _ in jobs])
    else:
        graph.build(pipeline, launch, f"files-{'0' * 16}.jsonl.gz", len(files))
    return pipeline.to_runner_api().ByteSize()
