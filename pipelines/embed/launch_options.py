"""What one launch of a job hands to its workers, with the graph."""

import dataclasses

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.planned_files import PlannedFiles
from lit_precompute.precompute.sources.source import Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """Small, however large the source is: it travels to every worker.

    Attributes:
      embed: what to embed, and how.
      others: the same for other towers, which embed the same rows in one pass; only towers and outputs differ.
      source: how its files are opened and read.
      name: of the launch; differs from that of every other.
      files: the versions of its local files when they were listed.
    """

    embed: EmbedOptions
    others: tuple[EmbedOptions, ...] = ()
    source: Source
    name: str
    files: PlannedFiles = dataclasses.field(default_factory=PlannedFiles)

    @property
    def datasets(self) -> tuple[EmbedOptions, ...]:
        """What to embed, a dataset for each tower."""
        return (self.embed, *self.others)
