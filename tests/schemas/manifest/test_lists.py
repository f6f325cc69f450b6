"""The lists beside the manifest: large ones are read fast, and damaged or hostile ones are refused."""

import sys

import numpy as np
import pyarrow as pa
import pytest

from lit_precompute.schemas import (
    DatasetError,
    Environment,
    FileInfo,
    Manifest,
    ShardInfo,
    SourceFile,
    SourceInfo,
    captions_table,
    embeddings_table,
    failures_table,
)
from lit_precompute.schemas.manifest.collecting import collect_shards
from lit_precompute.schemas.manifest.shard_list import FileColumns, ShardList
from lit_precompute.schemas.writing.publishing import publish_manifest
from tests.schemas.making import card, change_list, files_of, replace_list, write

TABLES = [embeddings_table(6, "float16"), captions_table(), failures_table()]
CPU, GPU = Environment(device="cpu", libraries={"numpy": "2.4"}), Environment(device="H100", libraries={"numpy": "2.4"})


def _shard(number, num_rows=3, num_failures=1, environment=CPU):
    files = {
        table.name: FileInfo(bytes=10 + number, sha256=f"{number:064x}", num_rows=rows, num_blocks=1)
        for table, rows in zip(TABLES, (num_rows, num_rows, num_failures), strict=True)
        if rows
    }
    return ShardInfo(
        shard=number,
        rows_read=num_rows + num_failures,
        num_rows=num_rows,
        num_failures=num_failures,
        files=files,
        environment=environment,
    )


def _decode(shards):
    return ShardList.decode(
        shards.encode(), tables=TABLES, environments=shards.environments, block_rows=8, where="list"
    )


def test_shards_come_back_as_they_were_given():
    given = [_shard(0), _shard(1, 0, 2, GPU), _shard(2, 4, 0), _shard(3, 0, 0)]
    shards = _decode(collect_shards(given[::-1], tables=TABLES, block_rows=8))
    assert (list(shards), shards[1:3], shards[-1]) == (given, given[1:3], given[3])
    assert shards.environments == [CPU, GPU]  # in order of use
    assert shards.table_bytes("captions") == 10 + 12
    assert shards.file("failures", 1).name == "failures/part-00001.arrow"
    assert shards.file("captions", 1) is None
    with pytest.raises(IndexError):
        _ = shards[4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda shards: shards.pop(1), "shard 1 is missing: shards must be numbered from 0, each once"),
        (lambda shards: shards.append(_shard(1)), "shard 1 occurs more than once"),
        (lambda shards: shards[2].files.pop("captions"), "shard 2.files: table 'captions' is missing"),
        (lambda shards: shards[2].files.update(x=shards[2].files["captions"]), "shard 2.files: must be of the tables"),
        (
            lambda shards: shards.__setitem__(0, _shard(0).model_copy(update={"num_rows": 9})),
            "shard 0.files.embeddings: must have 9 rows in 2 blocks, got 3 in 1",
        ),
    ],
)
def test_shards_that_do_not_make_a_dataset_are_refused(tmp_path, change, message):
    shards = [_shard(number) for number in range(3)]
    change(shards)
    source = SourceInfo(kind="table", path="x", files=[])
    with pytest.raises(DatasetError, match=message):
        publish_manifest(
            tmp_path, shards=shards, tables=TABLES, towers={"embeddings": card()}, source=source, block_rows=8
        )
    assert files_of(tmp_path) == {}


def _set(column, shard, value):
    return lambda columns: columns[column].__setitem__(shard, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("num_rows", 1, -1), r"shard 1: num_rows must be in \[0, \d+\), got -1"),
        (_set("num_failures", 1, 2**62), r"shard 1: num_failures must be in \[0, \d+\), got \d{19}"),
        (_set("captions.bytes", 2, -(2**62)), r"shard 2: captions.bytes must be in \[0, \d+\), got -\d{19}"),
        (_set("environment", 0, 1), r"shard 0: environment must be in \[0, 1\), got 1"),
        (_set("rows_read", 1, 21), r"shard 1: rows_read must be num_rows \+ num_failures = 20, got 21"),
        (_set("captions.bytes", 2, 0), "shard 2: captions.bytes must be 0 for a table without rows, and only for it"),
        (_set("failures.bytes", 0, 9), "shard 0: failures.bytes must be 0 .* got 9 for 0 rows"),
        (_set("failures.sha256", 0, b"0" * 32), "shard 0: failures.sha256 must be that of no bytes where"),
        (lambda c: [column.pop() for column in c.values()], r"the ledger must add up: shards have .*rows_written=40"),
    ],
)
def test_a_broken_rule_of_the_shards_is_named(tmp_path, change, message):
    write(tmp_path)
    change_list(tmp_path, "shards", change)
    with pytest.raises(DatasetError, match=message):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not Arrow",
        b"\xff\xff\xff\xff" + b"\xff" * 60,
        b"\xff\xff\xff\xff\x00\x00\x00\x00",
    ],
)
@pytest.mark.parametrize("what", ["shards", "source"])
def test_anything_but_an_arrow_stream_is_refused(tmp_path, what, data):
    write(tmp_path)
    replace_list(tmp_path, what, data)
    with pytest.raises(DatasetError, match=rf"{what}-[0-9a-f]{{16}}.arrow: not an Arrow IPC stream"):
        _ = Manifest.read(tmp_path).source.files


def test_columns_of_other_types_and_nulls_are_refused(tmp_path):
    write(tmp_path)
    floats = pa.schema([("rows_read", pa.float64())])
    change_list(tmp_path, "shards", lambda c: [c.pop(name) for name in [*c] if name != "rows_read"], schema=floats)
    with pytest.raises(
        DatasetError, match="the block's schema is rows_read: double, the manifest's rows_read: int64 not"
    ):
        Manifest.read(tmp_path)


def test_every_flipped_byte_of_a_list_is_found(tmp_path):
    write(tmp_path)
    for what in ("shards", "source"):
        (path,) = tmp_path.glob(f"{what}-*.arrow")
        whole = path.read_bytes()
        for place in np.random.default_rng(0).integers(0, len(whole), 8).tolist():
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            with pytest.raises(DatasetError, match=rf"{path.name}: SHA-256 must be"):
                _ = Manifest.read(tmp_path).source.files
        path.write_bytes(whole[:-1])
        with pytest.raises(DatasetError, match=rf"{path.name}: must have {len(whole)} bytes, got {len(whole) - 1}"):
            _ = Manifest.read(tmp_path).source.files
        path.unlink()
        with pytest.raises(DatasetError, match=rf"{path.name}: the file is missing"):
            _ = Manifest.read(tmp_path).source.files
        path.write_bytes(whole)


@pytest.mark.parametrize("seed", range(4))
def test_a_list_damaged_at_random_is_refused_or_read_and_never_crashes(tmp_path, seed):
    """Whoever can change a list can make its digests right, too."""
    write(tmp_path)
    (path,) = tmp_path.glob("shards-*.arrow")
    whole, rng = path.read_bytes(), np.random.default_rng(seed)
    for _ in range(25):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3).tolist():
            data[place] = int(rng.integers(0, 256))
        replace_list(tmp_path, "shards", bytes(data))
        try:
            manifest = Manifest.read(tmp_path)
        except DatasetError:
            continue
        assert sum(shard.num_rows for shard in manifest.shards) == 50


FILES = [SourceFile(path="a/ä.tar", bytes=7, sha256="ab" * 32), SourceFile(path="b.tar", bytes=0)]


def _publish(path):
    source = SourceInfo(kind="webdataset", path="*.tar", files=FILES, options={"x": [1]})
    return publish_manifest(path, shards=[], tables=TABLES, towers={"embeddings": card()}, source=source)


def test_the_sources_files_are_read_when_they_are_asked_for(tmp_path):
    source = _publish(tmp_path).source
    assert (source.num_files, source.num_bytes, source.options) == (2, 7, {"x": [1]})
    assert list(source.files) == source.info().files == FILES
    assert source.files[-1:] == FILES[1:]
    unread = Manifest.read(tmp_path).source
    next(tmp_path.glob("source-*.arrow")).unlink()
    with pytest.raises(DatasetError, match="the file is missing"):
        _ = unread.files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("bytes", 1, -1), "file 1: bytes must be >= 0, got -1"),
        (_set("bytes", 1, 1), "must have 2 files of 7 bytes, got 2 of 8"),
    ],
)
def test_a_broken_rule_of_the_source_is_named(tmp_path, change, message):
    _publish(tmp_path)
    change_list(tmp_path, "source", change)
    with pytest.raises(DatasetError, match=message):
        _ = Manifest.read(tmp_path).source.files


def test_publishing_again_leaves_no_list_of_before(tmp_path):
    write(tmp_path)
    before = set(files_of(tmp_path))
    manifest = Manifest.read(tmp_path)
    again = publish_manifest(
        tmp_path,
        shards=(shard.model_copy(update={"environment": GPU if shard.shard else CPU}) for shard in manifest.shards),
        tables=manifest.tables,
        towers=manifest.towers,
        source=manifest.source.info(),
        block_rows=8,
    )
    assert again.shards.environments == [CPU, GPU]
    after = set(files_of(tmp_path))
    assert len(after) == len(before)
    assert len(after - before) == 1


def test_a_quarter_of_a_million_shards_are_read_by_columns():
    """244,000 shards are a billion rows: a call for each would take seconds."""
    count = 250_000
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (count, 32), np.uint8)
    rows = rng.integers(1, 4_096, count)
    sizes = rng.integers(1, 10**8, count)
    given = ShardList(
        rows_read=rows + 1,
        num_rows=rows,
        num_failures=np.ones(count, np.int64),
        environment=np.zeros(count, np.int64),
        environments=[CPU],
        files={table.name: FileColumns(sizes, hashes) for table in TABLES},
        aligned={table.name: table.aligned for table in TABLES},
        block_rows=8,
    )
    data, calls = given.encode(), []
    before = sys.getprofile()
    sys.setprofile(lambda _, event, __: calls.append(event))
    try:
        shards = ShardList.decode(data, tables=TABLES, environments=[CPU], block_rows=8, where="list")
    finally:
        sys.setprofile(before)
    assert len(calls) < count / 100
    assert len(shards) == count
    assert shards[count - 1].files["captions"].sha256 == hashes[-1].tobytes().hex()
