"""What formats without a peek of their own say of a file's fields."""

import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.peeking import HasFields
from lit_precompute.precompute.sources.spec import SourceSpec
from tests.precompute.sources.webdataset.tars import write_tar


def _fields(path):
    source = make_source(SourceSpec(str(path)))
    assert isinstance(source, HasFields)
    return dict(source.fields(source.files()[0]))


def test_the_members_of_a_tars_first_sample_with_their_sizes(tmp_path):
    members = [("0.jpg", b"12345"), ("0.txt", "x"), ("0.seg.png", b"12"), ("1.cls", "7")]
    assert _fields(write_tar(tmp_path / "d.tar", members)) == {
        ".jpg": "5 bytes",
        ".txt": "1 byte",
        ".seg.png": "2 bytes",
    }


def test_the_columns_of_a_parquet_file_with_the_first_values_of_what_is_small(tmp_path):
    rows = [{"image": {"bytes": b"x", "path": None}, "caption": "a dog", "n": 7, "tags": ["a"], "odd": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    found = _fields(tmp_path / "d.parquet")
    assert (found["caption"], found["n"], list(found)) == ("a dog", "7", ["image", "caption", "n", "tags", "odd"])
    assert found["image"].startswith("struct<bytes: binary")
