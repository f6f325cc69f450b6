"""Options of probing."""

import dataclasses

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.machine import Device
from lit_precompute.precompute.options import DecodingOptions, check_count
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.probes import NUM_PROBES
from lit_precompute.towers.options import ImageTowerOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """What to embed again, and with what.

    Attributes:
      source: The images: the source that the dataset was made of, or some files of it. Its keys must be the dataset's.
      tower: The image tower that the dataset is said to be of.
      decoding: How images are read and decoded.
      rows: How many rows to embed again, from the source's first on.
      batch_size: Images per batch; by default a short trial chooses.
      device: What embeds; `auto` takes what there is.
    """

    source: SourceSpec
    tower: ImageTowerOptions
    decoding: DecodingOptions = dataclasses.field(default_factory=DecodingOptions)
    rows: int = NUM_PROBES
    batch_size: int | None = None
    device: Device = "auto"

    def __post_init__(self):
        check_count("--rows", self.rows)

    def embed(self, output: str) -> EmbedOptions:
        """Returns how to embed the rows again; float32 is what the tower gives."""
        return EmbedOptions(
            source=self.source,
            tower=self.tower,
            output=output,
            decoding=self.decoding,
            batch_size=self.batch_size,
            device=self.device,
            limit=self.rows,
            vector_type="float32",
        )
