"""The size of a job's graph: of what is submitted."""

import pytest

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.estimates.graph_size import LIMIT_BYTES, graph_bytes
from lit_precompute.precompute.sources.source import ListedFile
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.fake_source import FakeSource

pytestmark = pytest.mark.slow

OPTIONS = EmbedOptions(source=SourceSpec("fake"), tower=ImageTowerOptions(name="any"), output="gs://bucket/out")


def _bytes(num_files, *, num_units=10, looks_here=False):
    files = [ListedFile(path=f"gs://bucket/{number:06}.tar") for number in range(num_files)]
    return graph_bytes([OPTIONS], FakeSource({}), files, num_units=num_units, looks_here=looks_here)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_graph_has_numbers_of_files_and_nothing_else_of_the_source():
    few, many = _bytes(100), _bytes(100_000)
    assert few < 200_000
    assert few < many < LIMIT_BYTES
    # Eight files an element, which is two numbers of at most 17 bits.
    assert many - few < 100_000 / 8 * 24
    planned = _bytes(100, num_units=244_141, looks_here=True)
    assert planned == pytest.approx(_bytes(1, num_units=1, looks_here=True), rel=0.02)
    assert planned < few
