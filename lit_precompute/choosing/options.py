"""What is compared, and on how much. Imports nothing heavy."""

import dataclasses

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.several_towers import with_each_tower
from lit_precompute.precompute.machine import Device
from lit_precompute.precompute.options import DecodingOptions, check_count
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import open_folder, refuse_url
from lit_precompute.towers.options import ImageTowerOptions

EMBEDDED = "embedded"
# The grain of resuming; a batch is at most a quarter of it.
_ROWS_PER_SHARD = 512
_MAX_TRAININGS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChooseOptions:
    """A source, several towers, and how they are compared.

    Attributes:
      source: The source of images and texts.
      towers: The towers: NAME[@WEIGHTS][+OPTION=VALUE],... (options: resolution, resize, pooling, compute-type).
      output: Folder of all that is made: embeddings, tuned models, choose.json and choose.png. It is kept: the same
        command again embeds and tunes only what is missing, and towers may be added.
      rows: Rows of the sample, in runs of 16 that are drawn over the whole source.
      seed: What draws them; another seed, another sample (and another --output).
      held_out: Rows of the sample to retrieve among, which nothing is tuned on; by default a quarter.
      trainings: How often a text tower is tuned for each image tower, from different random starts.
      text_tower: Tune heads over this frozen text tower, a name of `lit-tune towers` or a folder, instead of a small
        text tower from a random start.
      batch_size: Images per batch; by default a short trial chooses.
      decoding: How images are read and decoded.
      device: What embeds; `auto` takes what there is, but refuses a CPU on a machine with an accelerator.
    """

    source: SourceSpec
    towers: str
    output: str = "chosen-tower"
    rows: int = 2000
    seed: int = 0
    held_out: int | None = None
    trainings: int = 3
    text_tower: str | None = None
    batch_size: int | None = None
    decoding: DecodingOptions = dataclasses.field(default_factory=DecodingOptions)
    device: Device = "auto"

    def __post_init__(self):
        check_count("--rows", self.rows)
        check_count("--held-out", self.held_out)
        check_count("--trainings", self.trainings, most=_MAX_TRAININGS)
        check_count("--batch-size", self.batch_size)
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed must be in [0, 2**32), got {self.seed}")
        refuse_url("--output", self.output)

    def jobs(self) -> list[EmbedOptions]:
        """Returns what is embedded with each tower.

        Raises:
          ValueError: fewer than two towers, or they are not written as they should be.
        """
        shared = EmbedOptions(
            source=self.source,
            tower=ImageTowerOptions(name=""),
            output=open_folder(self.output).join(EMBEDDED),
            batch_size=self.batch_size,
            rows_per_shard=_ROWS_PER_SHARD,
            decoding=self.decoding,
            limit=self.rows,
            limit_seed=self.seed,
            device=self.device,
        )
        jobs = with_each_tower(shared, self.towers)
        if len(jobs) < 2:
            raise ValueError(f"--towers {self.towers}: give at least two to choose from, separated by commas")
        return jobs
