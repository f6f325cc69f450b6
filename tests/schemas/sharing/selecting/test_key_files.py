"""Files of keys: lines, columns, DataComp's uids, and what is none of them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.schemas import DatasetError
from lit_precompute.schemas.sharing.selecting import key_files
from lit_precompute.schemas.sharing.selecting.key_files import read_keys


def _read(path, column="key"):
    return [key for piece in read_keys(str(path), column) for key in piece.to_pylist()]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"a\nb c\n", ["a", "b c"]),
        (b"a\r\n\r\nb", ["a", "b"]),
        ("\ufeffa\n\u96ea".encode(), ["a", "\u96ea"]),
        (b" a \n", [" a "]),
        (b"", []),
    ],
)
def test_lines(tmp_path, data, keys):
    (tmp_path / "keys.txt").write_bytes(data)
    assert _read(tmp_path / "keys.txt") == keys


def test_pieces_of_a_file_may_end_anywhere(tmp_path, monkeypatch):
    keys = [f"image-{number}" for number in range(100)]
    (tmp_path / "keys.txt").write_text("\n".join(keys))
    for size in (1, 7, 64):
        monkeypatch.setattr(key_files, "_PIECE_BYTES", size)
        assert _read(tmp_path / "keys.txt") == keys


def test_uids_as_datacomp_saves_them(tmp_path):
    """Its subsets are sorted arrays of (int(uid[:16], 16), int(uid[16:32], 16)), in a structured type."""
    uids = ["00000000000000010000000000000a0b", "d9c5e3f1" * 4, "f" * 32, "0" * 32]
    halves = [(int(uid[:16], 16), int(uid[16:32], 16)) for uid in uids]
    saved = np.array(halves, np.dtype("u8,u8"))
    saved.sort()
    np.save(tmp_path / "subset.npy", saved)
    assert _read(tmp_path / "subset.npy") == sorted(uids)
    np.save(tmp_path / "swapped.npy", saved.astype(">u8,>u8"))
    assert _read(tmp_path / "swapped.npy") == sorted(uids)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_column_of_parquet(tmp_path, kind):
    table = pa.table({"uid": pa.array(["a", "b", "a"]).cast(kind), "score": [1.0, 2.0, 3.0]})
    pq.write_table(table, tmp_path / "keys.parquet", row_group_size=2)
    assert _read(tmp_path / "keys.parquet", "uid") == ["a", "b", "a"]
    with pytest.raises(DatasetError, match=r"has no column 'key' of keys; it has \['uid', 'score'\]"):
        _read(tmp_path / "keys.parquet")
    with pytest.raises(DatasetError, match="column 'score': keys must be strings, got double"):
        _read(tmp_path / "keys.parquet", "score")


def test_refuses_what_holds_no_keys(tmp_path):
    np.save(tmp_path / "floats.npy", np.zeros(3))
    np.save(tmp_path / "pickled.npy", np.array(["a", None], object), allow_pickle=True)
    (tmp_path / "short.npy").write_bytes((tmp_path / "floats.npy").read_bytes()[:-4])
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 but not really")
    (tmp_path / "latin.txt").write_bytes("caf\u00e9".encode("latin-1"))
    pq.write_table(pa.table({"key": ["a", None]}), tmp_path / "null.parquet")
    for name, words in {
        "floats.npy": "must be uids as DataComp saves them, one dimension of the type u8,u8, got 1 of float64",
        "pickled.npy": "cannot be read as an array",
        "short.npy": "cannot be read as an array",
        "damaged.parquet": "cannot be read as Parquet",
        "null.parquet": "keys must not be null, got 1",
        "latin.txt": "keys must be text in UTF-8",
    }.items():
        with pytest.raises(DatasetError, match=words) as caught:
            _read(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(FileNotFoundError):
        _read(tmp_path / "absent.txt")
