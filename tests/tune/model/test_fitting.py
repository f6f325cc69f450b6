"""Which of a dataset's tables of embeddings a tuned model goes with."""

import pytest

from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.model.fitting import table_of_network
from tests.tune.small_runs import tower_card, write_dataset


def card(resolution, weights="1"):
    """Returns the card of a network at a resolution: the fingerprint is another, the network the same."""
    known = {"family": "test", "resolution": resolution, "compute_type": "float32"}
    changes = {"architecture": known, "weights_sha256": weights * 64}
    return tower_card(f"{weights}{resolution}".ljust(64, "0")).model_copy(update=changes)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A dataset with the embeddings of one network at 224 pixels, and beside them those at 288 and 384."""
    place = tmp_path_factory.mktemp("three")
    for resolution in (224, 288, 384):
        write_dataset(place / str(resolution), tower=card(resolution))
    beside = tuple(f"{resolution}={place / str(resolution)}" for resolution in (288, 384))
    derive(DeriveOptions(base=str(place / "224"), output=str(place / "three"), embeddings=beside))
    return place / "three"


@pytest.mark.parametrize("opened", ["embeddings", "embeddings-288", "embeddings-384"])
def test_an_equal_fingerprint_comes_before_another_resolution_of_the_network(three, opened):
    with EmbeddingDataset.open(three, embeddings=opened) as dataset:
        assert table_of_network(dataset, card(224)) == "embeddings"
        assert table_of_network(dataset, card(384)) == "embeddings-384"
        assert table_of_network(dataset, card(448)) == opened
        assert table_of_network(dataset, card(224, weights="2")) is None
