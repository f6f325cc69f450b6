"""Tokenising as a job in one phase, whose pieces are the base's shards.

_work/derive.json         what is derived of what; created once: from then on the output belongs to this job
_work/tokenizer/          the tokenizer, for workers on other machines
_work/tokenise/00003      a shard's new file as the manifest will describe it; written after that file
manifest.json             written last; then `_work` is removed
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lit_precompute.pipelines.phases.job import Phase
from lit_precompute.pipelines.phases.output import JobOutput
from lit_precompute.precompute.deriving.composition import Composition
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.precompute.deriving.output import DERIVE
from lit_precompute.precompute.deriving.tokens import CaptionShards, check_field, token_rows
from lit_precompute.schemas import DatasetError, Manifest, ShardInfo, ShardWriter
from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.storage import MANIFEST_NAME, Folder
from lit_precompute.schemas.token_tables import TokenTableInfo
from lit_precompute.towers.tokenizers import Tokenizer, load_tokenizer

_TOKENISE = "tokenise"
_TOKENIZER = "tokenizer"
# Rows tokenised at a time: enough to keep a tokenizer's threads busy.
_ROWS_AT_ONCE = 8_192


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenJob:
    """A planned job; see `PhasedJob`. Workers read the manifest themselves.

    Attributes:
      options: what to tokenise.
      digest: the base's.
      info: what the table is made with.
      tokenizer: the files of the tokenizer.
      shard_rows: rows of each shard.
    """

    options: DeriveOptions
    digest: str
    info: TokenTableInfo
    tokenizer: Mapping[str, bytes] = dataclasses.field(repr=False)
    shard_rows: tuple[int, ...]

    @classmethod
    def plan(cls, options: DeriveOptions, manifest: Manifest, tokenizer: Tokenizer) -> "TokenJob":
        """Returns the job.

        Raises:
          DatasetError: the dataset has no such texts, or has the table already.
        """
        field = options.embed_texts.field
        check_field(options.base, manifest, field)
        info = TokenTableInfo(
            fingerprint=tokenizer.fingerprint,
            tokenizer={"given": options.tokens, "vocabulary_size": tokenizer.vocabulary_size},
            max_pieces=options.max_pieces,
            separator=options.join_texts,
            field=field,
        )
        if info.name in [table.name for table in manifest.tables]:
            raise DatasetError(f"{options.base}: has the table '{info.name}' already; nothing is left to derive")
        rows = manifest.shards.num_rows.tolist()
        return cls(
            options=options,
            digest=manifest.digest,
            info=info,
            tokenizer=_saved_files(tokenizer),
            shard_rows=tuple(rows),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickles without the tokenizer, which workers find where the job has left it."""
        return {**self.__dict__, "tokenizer": {}}

    @property
    def output(self) -> JobOutput:
        """The derived dataset."""
        flags = {"base": "the dataset's digest", "tables": "--tokens"}
        return JobOutput(path=self.options.output, note="derive.json", kind="derivation", key=DERIVE, flags=flags)

    @property
    def work(self) -> Folder:
        """Where pieces leave their files."""
        return self.output.work

    @property
    def phases(self) -> Sequence[Phase]:
        """The only phase."""
        return [Phase(_TOKENISE, self.shard_rows)]

    def worker(self) -> "TokenWorker":
        """Returns what tokenises in this process."""
        return TokenWorker(self)

    def described(self) -> dict[str, Any]:
        """Returns what determines the result, as JSON."""
        return {"base": self.digest, "tables": {self.info.name: self.info.to_json()}}

    def claim(self) -> None:
        """Makes the output belong to this job, and leaves the tokenizer there; see `JobOutput`."""
        self.output.claim(self.described())
        for name, data in self.tokenizer.items():
            self.work.write(f"{_TOKENIZER}/{name}", data)

    def publish(self, manifest: Manifest) -> Manifest:
        """Writes the manifest, and removes what only an unfinished job needs."""
        names = (Phase(_TOKENISE, ()).file_name(shard) for shard in range(len(self.shard_rows)))
        shards = [ShardInfo.model_validate_json(self.work.read(name)) for name in names]
        composition = Composition(dataset_folder(self.options.base), manifest, self.output.folder)
        composition.add_own([self.info.table], [shard.files for shard in shards])
        composition.attach(self.info.attachment, self.info.to_bytes())
        published = composition.publish({DERIVE: self.described(), "base": self.options.base})
        self.output.sweep()
        return published


class TokenWorker:
    """Tokenises shards in one process."""

    def __init__(self, job: TokenJob):
        """Takes the job; reads nothing before the first shard."""
        self._job = job
        self._tokenizer: Tokenizer | None = None
        self._captions: CaptionShards | None = None

    def do(self, phase: str, piece: int, tell: Callable[[int], None]) -> None:
        """Tokenises a shard, and writes its file."""
        job = self._job
        if self._tokenizer is None or self._captions is None:
            self._tokenizer = _load(job.work)
            self._captions = CaptionShards(job.options.base, job.digest)
        table = job.info.table
        block_rows = self._captions.manifest.block_rows
        with ShardWriter(job.output.folder, shard=piece, tables=[table], block_rows=block_rows) as writer:
            for batch in self._captions.batches(piece, _ROWS_AT_ONCE, job.info.field):
                writer.append_stored(table.name, token_rows(batch, self._tokenizer, job.info))
                tell(len(batch))
            info = writer.finish()
        job.work.write(Phase(phase, ()).file_name(piece), info.model_dump_json().encode())
        if job.output.folder.exists(MANIFEST_NAME):  # by a faster worker: nothing may remain of an unfinished job
            job.output.sweep()

    def close(self) -> None:
        """Closes the files."""
        if self._captions is not None:
            self._captions.close()


def _saved_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """Returns the files of a saved tokenizer."""
    with tempfile.TemporaryDirectory() as name:
        tokenizer.save(name)
        folder = pathlib.Path(name)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _load(work: Folder) -> Tokenizer:
    """Returns the tokenizer that the job has left."""
    with tempfile.TemporaryDirectory() as name:
        for file in work.find(_TOKENIZER):
            path = pathlib.Path(name, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(work.read(f"{_TOKENIZER}/{file}"))
        return load_tokenizer(name)
