"""Which part of a dataset is wanted."""

import pytest

from lit_precompute.schemas import DatasetError
from lit_precompute.schemas.sharing.part import Part
from tests.schemas.making import write


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "d")  # 50 rows in shards of 20, 20 and 10


def test_equal_requests_are_recorded_alike():
    written = Part.parse(tables="labels, captions", shards="7,0-2,3,5-6", rows=9)
    assert written == Part.parse(tables="captions,labels", shards="0-3,5-7", rows=9)
    assert written.recorded() == {"tables": ["captions", "labels"], "shards": "0-3,5-7", "rows": 9}
    assert Part.parse(shards="4,4").recorded() == {"shards": "4"}
    assert Part().recorded() == {}


@pytest.mark.parametrize(
    "given",
    [{"shards": "0-2"}, {"rows": 50}, {"rows": 1000}, {"tables": "captions,labels"}, {"shards": "0,1,2", "rows": 60}],
)
def test_what_covers_all_is_the_whole(manifest, given):
    assert Part.parse(**given).of(manifest).is_whole


def test_every_part_has_embeddings_and_failures(manifest):
    assert Part.parse(tables="labels").of(manifest).tables == {"labels", "embeddings", "failures"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shards": "0-"}, r"--shards must be numbers and ranges such as 0-9,12, got '0-'"),
        ({"shards": "3-1"}, "--shards must be numbers"),
        ({"shards": "-1"}, "--shards must be numbers"),
        ({"shards": "1-3"}, r"--shards: must be from 0 to 2, got 3"),
        ({"tables": "captions,,labels"}, "--tables must be names with commas between them"),
        ({"tables": "tags"}, "unknown table 'tags'"),
        ({"rows": 0}, "--rows must be >= 1, got 0"),
    ],
)
def test_refused(manifest, given, message):
    with pytest.raises(DatasetError, match=message):
        Part.parse(**given).of(manifest)
