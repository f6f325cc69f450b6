"""The embedding job on small sources: what is written, what is refused, and what happens to bad images."""

import collections
import dataclasses
import io
import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from lit_precompute.embedding import embed
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import Markers
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning import found_source
from lit_precompute.pipelines.embed.workers.process_registry import ProcessRegistry
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.precompute.sources.source import Source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.receipt import make_receipt
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.probes import decode_vector
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.registry import find_tower, register, register_alias, tower_names
from tests.pipelines.embed.making import BAD, arguments, draw_image, run, write_source
from tests.pipelines.embed.second_tower import NAME as SECOND
from tests.pipelines.embed.second_tower import write_second_weights
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def _not_yet(*_):
    raise RuntimeError("not yet")


def test_every_row_is_embedded_or_listed_as_a_failure(tmp_path, monkeypatch, source, capsys):
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    assert verify(tmp_path / "out") == []
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.manifest.ledger.model_dump() == {"rows_read": 45, "rows_written": 40, "rows_failed": 5}
        assert dataset.keys().to_pylist() == [f"{number:03d}.png" for number in range(40)]
        assert dataset.row(3)["texts"] == ["text of 003.png"]
        assert dataset.row(3)["label"] == "even"
        failures = {failure["key"]: failure for failure in dataset.failures().to_pylist()}
    assert {key: failure["reason"] for key, failure in failures.items()} == {k: v[0] for k, v in BAD.items()}
    assert all("bad/" in failure["source"] and failure["message"] for failure in failures.values())
    assert not (tmp_path / "out/_work").exists()
    said = capsys.readouterr().out
    assert "5 rows failed" in said
    assert "lit-tune --dataset" in said


def test_embeddings_match_float64_numpy(tmp_path, monkeypatch, source):
    """The tower's function in NumPy float64, image by image."""
    assert run(monkeypatch, *arguments(source, tmp_path / "out", dtype="float32")) == 0
    tower = load_tower(NAME, str(source.parent / "weights.npz"))
    kernel = tower.parameters["kernel"].astype(np.float64)
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        found = dataset.rows(0, 40, ["embedding"])["embedding"]
        assert dataset.manifest.tower == tower.card()
    for row in range(40):
        image = prepare(decode(draw_image(row)), tower.preprocessing).astype(np.float64) / 255 * 2 - 1
        means = image.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3)).reshape(-1)
        np.testing.assert_allclose(found[row], np.tanh(means @ kernel), rtol=1e-5, atol=1e-5)


def test_the_place_of_the_weights_is_not_part_of_a_job(tmp_path, monkeypatch, source, capsys):
    """Published weights need no --weights; the same weights from elsewhere resume the same job."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE", str(tmp_path / "own"))
    register_tiny_tower()
    name = "test-owner/tiny"
    if name not in tower_names():
        register(name, dataclasses.replace(find_tower(NAME), weights=f"hf://{name}/w.npz"))
        register_alias("test-tiny-alias", name)
    command = arguments(source, tmp_path / "out", tower=f"hf://{name}")
    command = command[: command.index("--weights")] + command[command.index("--weights") + 2 :]
    # Missing weights are an error before any work: the source is not even read.
    (tmp_path / "unreadable.tsv").write_text("no such columns\n")
    unread = [part if part != str(source) else str(tmp_path / "unreadable.tsv") for part in command]
    assert run(monkeypatch, *unread) == 2
    assert "hf://test-owner/tiny/w.npz: is not on this machine" in capsys.readouterr().err.replace("\n", "")
    (tmp_path / "own/huggingface.co/test-owner/tiny/main").mkdir(parents=True)
    write_weights(tmp_path / "own/huggingface.co/test-owner/tiny/main/w.npz")
    assert run(monkeypatch, *command) == 0
    written = files_of(tmp_path / "out")
    again = arguments(source, tmp_path / "out", write_weights(tmp_path / "other.npz"), tower="test-tiny-alias")
    assert run(monkeypatch, *again) == 0
    assert "nothing was left to do" in capsys.readouterr().out
    assert files_of(tmp_path / "out") == written


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_probes_are_float32_whatever_the_stored_type(tmp_path, monkeypatch, source, dtype):
    """Small shards make every row a probe; compared with the embeddings that the same tower gave as float32."""
    assert run(monkeypatch, *arguments(source, tmp_path / "exact", dtype="float32")) == 0
    assert run(monkeypatch, *arguments(source, tmp_path / "out", dtype=dtype)) == 0
    assert verify(tmp_path / "out") == []
    with EmbeddingDataset.open(tmp_path / "exact") as exact, EmbeddingDataset.open(tmp_path / "out") as dataset:
        probes = dataset.manifest.probes
        assert [probe.row for probe in probes] == list(range(40))
        assert [probe.key for probe in probes] == dataset.keys().to_pylist()
        vectors = np.stack([decode_vector(probe, dataset.width) for probe in probes])
        np.testing.assert_array_equal(vectors, exact.rows(0, 40, ["embedding"])["embedding"])
        assert dataset.vector_type == dtype
        receipt = make_receipt(dataset)
    assert 0.999 < receipt.least_cosine < 1 and not receipt.is_exact


def test_probes_of_one_large_shard_are_64_rows_spread_over_it(tmp_path, monkeypatch):
    table = write_source(tmp_path / "source", 150, bad=False)
    assert run(monkeypatch, *arguments(table, tmp_path / "out", rows_per_shard=1000)) == 0
    rows = [probe.row for probe in Manifest.read(tmp_path / "out").probes]
    assert len(rows) == 64
    assert max(np.diff([-1, *rows, 150])) <= 4


def test_a_job_begun_in_another_format_version_is_refused(tmp_path, monkeypatch, source, capsys):
    """Its finished shards have no float32 probes."""
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 1
    path = tmp_path / "out/_work/job.json"
    content = json.loads(path.read_text())
    assert content.pop("format_version") == 3
    path.write_text(json.dumps(content))
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 2
    assert "format_version is None there, 3 was requested" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    ["", "[1]", "{}", "[" * 200_000, '{"plan": {}, "source": {}, "options": {}}', '{"source": {}, "plan": 3}'],
)
def test_a_damaged_note_of_a_job_is_one_sentence(tmp_path, monkeypatch, source, capsys, content):
    (tmp_path / "out/_work").mkdir(parents=True)
    (tmp_path / "out/_work/job.json").write_text(content)
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 2
    assert re.search(r"out/_work/job\.json: .*; choose another --output\n$", capsys.readouterr().err)


def test_a_source_without_labels_gets_no_table_of_labels(tmp_path, monkeypatch):
    table = write_source(tmp_path / "source", 5, bad=False, labels=False)
    assert run(monkeypatch, *arguments(table, tmp_path / "out")) == 0
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.tables == ["embeddings", "captions"]


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_only_missing_shards_are_embedded_again(tmp_path, monkeypatch, source, dtype):
    """With every third marker lost and a shard half written, the job ends in the same bytes."""
    assert run(monkeypatch, *arguments(source, tmp_path / "whole", dtype=dtype)) == 0
    publish = JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, tmp_path / "out", dtype=dtype)) == 1
    monkeypatch.setattr(JobDirectory, "publish", publish)
    markers = sorted((tmp_path / "out/_work/shards").iterdir())
    assert len(markers) == 6
    for marker in markers[::3]:
        marker.unlink()
    (tmp_path / "out/embeddings/part-00003.arrow").write_bytes(b"half")
    kept = (tmp_path / "out/embeddings/part-00001.arrow").stat().st_mtime_ns
    assert run(monkeypatch, *arguments(source, tmp_path / "out", dtype=dtype)) == 0
    assert (tmp_path / "out/embeddings/part-00001.arrow").stat().st_mtime_ns == kept
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_a_finished_job_is_left_unchanged(tmp_path, monkeypatch, source, capsys):
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files_of(tmp_path / "out")}
    (tmp_path / "out/_work/temporary").mkdir(parents=True)  # as left by a kill between publishing and sweeping
    capsys.readouterr()
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    assert "nothing was left to do" in capsys.readouterr().out
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files_of(tmp_path / "out")} == before
    assert not (tmp_path / "out/_work").exists()


def test_a_job_that_was_killed_while_it_swept_is_finished(tmp_path, monkeypatch, source, capsys):
    """The folder of the job is removed file by file: its note may be left without the plan that it names."""

    def half_sweep(self):
        self.folder.remove(*(f"_work/{name}" for name in self.folder.find("_work") if name != "job.json"))

    with monkeypatch.context() as patch:
        patch.setattr(JobDirectory, "sweep", half_sweep)
        assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    assert (tmp_path / "out/_work/job.json").exists()
    capsys.readouterr()
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    assert "nothing was left to do" in capsys.readouterr().out
    assert not (tmp_path / "out/_work").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_another_tower_source_or_option_is_refused_with_both_values(tmp_path, monkeypatch, source, capsys, finished):
    output = tmp_path / "out"
    if not finished:
        monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    run(monkeypatch, *arguments(source, output))
    assert (output / "manifest.json").exists() == finished
    before = files_of(output)
    other_source = write_source(tmp_path / "other", 10)
    other_weights = write_weights(tmp_path / "other.npz", seed=1)
    second_weights = write_second_weights(tmp_path / "second.npz")
    changes = {
        "--dtype is 'float16' there, 'float32' was requested": arguments(source, output, dtype="float32"),
        "--rows-per-shard is 8 there, 9 was requested": arguments(source, output, rows_per_shard=9),
        "--max-pixels is None there, 999 was requested": arguments(source, output, max_pixels=999),
        "job: the SHA-256 of the weights (--weights) is": arguments(source, output, other_weights),
        "job: --compute-type is 'float32' there, 'bfloat16' was requested. Give": arguments(
            source, output, compute_type="bfloat16"
        ),
        f"job: --tower is '{NAME}' there, '{SECOND}' was requested. Give": arguments(
            source, output, second_weights, tower=SECOND
        ),
        f"the content of {other_source} differs from that of {source}, with which": arguments(other_source, output),
    }
    for message, command in changes.items():
        assert run(monkeypatch, *command) == 2
        assert message in capsys.readouterr().err.replace("\n", "")
    assert files_of(output) == before


def test_a_directory_with_other_files_is_refused(tmp_path, monkeypatch, source, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("mine")
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 2
    assert "contains files that do not belong to a job (thesis.tex); give an empty --output" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "status"), [("0", 1), ("4", 1), ("10%", 1), ("5", 0), ("12%", 0)])
def test_too_many_failures_stop_the_job_until_more_are_allowed(tmp_path, monkeypatch, source, capsys, limit, status):
    assert run(monkeypatch, *arguments(source, tmp_path / "out", max_failures=limit)) == status
    assert (tmp_path / "out/manifest.json").exists() == (status == 0)
    if status:
        said = capsys.readouterr().err
        assert "rows failed, --max-failures allows" in said
        assert "1 empty (first: bad/empty.png)" in said
        assert run(monkeypatch, *arguments(source, tmp_path / "out", max_failures="100%")) == 0
        assert verify(tmp_path / "out") == []


@pytest.mark.parametrize("allowed", [0, 1])
def test_units_after_too_many_failures_are_not_embedded(tmp_path, monkeypatch, source, allowed):
    """Failures of earlier launches count as well. The first shard has two failures, the second has one."""
    command = arguments(source, tmp_path / "out", max_failures=allowed)
    for _ in range(2):
        assert run(monkeypatch, *command) == 1
        assert [path.name for path in (tmp_path / "out/_work/shards").iterdir()] == ["00000.json"]
    assert run(monkeypatch, *arguments(source, tmp_path / "out", max_failures=2)) == 1
    assert len(list((tmp_path / "out/_work/shards").iterdir())) == 2


def test_no_unit_reads_the_marker_of_another(tmp_path, monkeypatch, source):
    """That would be quadratic. Each unit looks for its own, and each finished one is read to publish it."""
    publish = JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 1
    monkeypatch.setattr(JobDirectory, "publish", publish)
    for unit in (1, 4):
        (tmp_path / f"out/_work/shards/{unit:05d}.json").unlink()
    reads = collections.Counter()
    read, read_many = Markers.read, Markers.read_many

    def count(self, shard):
        reads[shard] += 1
        return read(self, shard)

    def count_many(self, shards):
        reads.update(shards)
        return read_many(self, shards)

    monkeypatch.setattr(Markers, "read", count)
    monkeypatch.setattr(Markers, "read_many", count_many)
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    first = {0: 1}  # whether all rows had failed
    assert reads == collections.Counter(dict.fromkeys(range(6), 1)) + collections.Counter(first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "/nowhere/captions.tsv"}, "cannot be opened"),
        ({"tower": "test-tinny"}, "unknown tower 'test-tinny'; did you mean one of test-tiny"),
        ({"weights": "/nowhere.npz"}, "/nowhere.npz"),
        ({"max_failures": "many"}, "--max-failures must be a count like 100 or a share like 0.5%, got 'many'"),
        ({"batch_size": 0}, "error: --batch-size must be >= 1, got 0"),
        ({"rows_per_shard": 0}, "error: --rows-per-shard must be >= 1, got 0"),
        ({"rows_per_shard": 10**20}, f"error: --rows-per-shard must be at most {2**31 - 1}, got {10**20}"),
        ({"output": ""}, "error: --output must name a directory, got ''"),
        ({"output": "http:o"}, "error: --output http:o: a URL has two slashes after http:"),
        ({"image_column": "file"}, "give its name as --image-column"),
        ({"label_column": "class"}, "give its name as --label-column"),
        ({"source_format": "xml"}, "--source-format must be one of webdataset, csv, tsv, jsonl, "),
        ({"sample_name": "last-dot"}, "--sample-name last-dot is for tars, and this is tsv"),
        ({"no_such_flag": 3}, "unknown options --no-such-flag"),
        ({"decode_workers": 0}, "error: --decode-workers must be >= 1, got 0"),
        (
            {"text_column": "path"},
            "columns: names must differ and not be empty, got --image-column 'path', --text-column 'path'",
        ),
        ({"runner": "FlankRunner"}, "--runner=FlankRunner: there is no such runner. Did you mean FlinkRunner"),
    ],
)
def test_wrong_input_is_one_message_before_any_work(tmp_path, monkeypatch, source, capsys, options, message):
    assert run(monkeypatch, *arguments(source, **{"output": tmp_path / "out", **options})) == 2
    said = capsys.readouterr().err
    assert message in said.replace("\n", "")
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options", [{"max_failures": "many"}, {"rows_per_shard": 9}, {"batch_size": 5}, {"source": "other"}]
)
def test_checks_that_need_no_tower_come_before_it_is_loaded(tmp_path, monkeypatch, source, options):
    """The output belongs to an unfinished job of eight rows per shard and a batch of four."""
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 1
    if "source" in options:
        options = {"source": write_source(tmp_path / "other", 10)}
    monkeypatch.setattr(ProcessRegistry, "tower", _not_yet)
    assert run(monkeypatch, *arguments(source, tmp_path / "out", **options)) == 2


def test_a_batch_that_does_not_fit_the_memory_does_not_claim_the_output(tmp_path, monkeypatch, source, capsys):
    start = Embedder.start

    def full(self, batch):
        if len(batch) > 100:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 GB")
        return start(self, batch)

    monkeypatch.setattr(Embedder, "start", full)
    assert run(monkeypatch, *arguments(source, tmp_path / "out", batch_size=128)) == 2
    assert "a batch of 128 images does not fit the memory (RESOURCE_EXHAUSTED: Out of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(monkeypatch, *arguments(source, tmp_path / "out", batch_size=4)) == 0


@pytest.mark.skipif(not pathlib.Path("/proc/self").exists(), reason="needs /proc")
def test_an_output_where_no_folder_can_be_made_is_refused_with_its_path(monkeypatch, tmp_path, source, capsys):
    assert run(monkeypatch, *arguments(source, "/proc/out", write_weights(tmp_path / "weights.npz"))) == 2
    assert re.fullmatch(r"error: /proc/out: .*; choose another --output\n", capsys.readouterr().err)


def test_an_output_that_is_a_file_is_refused(tmp_path, monkeypatch, source, capsys):
    (tmp_path / "out").write_text("mine")
    for output in (tmp_path / "out", tmp_path / "out/below"):
        assert run(monkeypatch, *arguments(source, output)) == 2
        assert f"{output}: {tmp_path}/out is a file; choose another --output" in capsys.readouterr().err


def test_a_finished_job_without_its_files_is_not_called_finished(tmp_path, monkeypatch, source, capsys):
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    (tmp_path / "out/failures/part-00002.arrow").unlink()
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 2
    assert "failures/part-00002.arrow: the file is missing" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "dtype"), [(np.nan, "float32"), (1e30, "float16"), (3.4028235e38, "int8")])
def test_an_embedding_that_cannot_be_stored_is_a_failed_row(tmp_path, monkeypatch, source, dtype, value, capsys):
    """The others are stored as ever, and the failure counts towards the limit."""
    apply = Embedder._embed

    def odd(self, parameters, images):
        vectors = apply(self, parameters, images)
        return jnp.where((images == 255).all(axis=(1, 2, 3))[:, None], value, vectors)

    monkeypatch.setattr(Embedder, "_embed", odd)
    table = write_source(tmp_path / "source", 20, bad=False)
    white = io.BytesIO()
    Image.new("RGB", (20, 20), "white").save(white, "PNG")
    (tmp_path / "source/013.png").write_bytes(white.getvalue())
    assert run(monkeypatch, *arguments(table, tmp_path / "out", dtype=dtype, max_failures=0)) == 1
    assert "1 row failed, --max-failures allows 0: 1 not-finite (first: 013.png)" in capsys.readouterr().err
    assert run(monkeypatch, *arguments(table, tmp_path / "out", dtype=dtype, max_failures=1)) == 0
    assert "1 row failed" in capsys.readouterr().out
    assert verify(tmp_path / "out") == []
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.keys().to_pylist() == [f"{number:03d}.png" for number in range(20) if number != 13]
        (failure,) = dataset.failures().to_pylist()
    assert (failure["key"], failure["source"]) == ("013.png", str(tmp_path / "source/013.png"))
    assert failure["reason"] == "not-finite" and "the embedding cannot be stored: " in failure["message"]


def test_beams_flags_pass_through(tmp_path, monkeypatch, source):
    command = [*arguments(source, tmp_path / "out"), "--runner=FnApiRunner", "--direct_num_workers=1"]
    assert run(monkeypatch, *command) == 0


def test_embeddings_do_not_depend_on_how_images_are_decoded(tmp_path, monkeypatch, source):
    for kind, workers, in_flight in (("threads", 1, 10**9), ("threads", 7, 1), ("processes", 2, 1)):
        options = {"decode_in": kind, "decode_workers": workers, "max_pixels_in_flight": in_flight}
        assert run(monkeypatch, *arguments(source, tmp_path / f"{kind}{workers}", **options)) == 0
    assert files_of(tmp_path / "threads1") == files_of(tmp_path / "threads7") == files_of(tmp_path / "processes2")


def test_larger_images_than_max_pixels_are_failures_and_the_manifest_says_so(tmp_path, monkeypatch, source):
    assert run(monkeypatch, *arguments(source, tmp_path / "out", max_pixels=400)) == 0
    with Image.open(source.parent / "000.png") as image:
        assert image.width * image.height > 400
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.manifest.job["max_pixels"] == 400
        failures = {failure["key"]: failure["message"] for failure in dataset.failures().to_pylist()}
        assert 0 < dataset.num_rows < 40
    assert "at most 400 are decoded" in failures["000.png"]


def test_the_manifest_records_the_jobs_options(tmp_path, monkeypatch, source):
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    content = json.loads((tmp_path / "out/manifest.json").read_text())
    assert content["job"] == {
        "producer": "lit-embed run",
        "rows_per_shard": 8,
        "batch_size": 4,
        "vector_type": "float16",
    }


def test_shards_record_what_embedded_them(tmp_path, monkeypatch, source):
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    environments = [shard.environment for shard in Manifest.read(tmp_path / "out").shards]
    assert {environment.device for environment in environments} == {"cpu"}
    expected = ["array-record", "jax", "lit-precompute", "numpy", "pillow", "pyarrow", "tensorflow-cpu"]
    assert all(sorted(environment.libraries) == expected for environment in environments)


@dataclasses.dataclass(frozen=True)
class OvertakenSource:
    """A source whose third unit is read only after another launcher has published the dataset; leaves a note."""

    inner: Source
    job: EmbedOptions
    note: pathlib.Path

    def __getattr__(self, name):
        if name.startswith("__") or name == "inner":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.inner, name)

    def read(self, part, tables):
        if part.start == THIRD[0] and not self.note.exists():
            self.note.touch()
            embed(self.job)
        return self.inner.read(part, tables)


THIRD = [0]


def test_a_launcher_that_another_overtakes_ends_well(tmp_path, monkeypatch, source):
    """The other publishes while this one writes a shard, whose files are swept away; the dataset stays intact."""
    assert run(monkeypatch, *arguments(source, tmp_path / "alone")) == 0
    tower = ImageTowerOptions(name=NAME, weights=str(source.parent / "weights.npz"))
    output = str(tmp_path / "out")
    options = EmbedOptions(source=SourceSpec(str(source)), tower=tower, output=output, rows_per_shard=8, batch_size=4)
    make_source = found_source.make_source

    def make(spec, **how):
        inner = make_source(spec, **how)
        (file,) = inner.files()
        THIRD[0] = inner.look(file, 8).slices[2].start
        return OvertakenSource(inner, options, tmp_path / "overtaken")

    monkeypatch.setattr(found_source, "make_source", make)
    embed(options)
    assert (tmp_path / "overtaken").exists()
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
