"""Options of the embedding job, as far as they depend on where it runs."""

import pytest

from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.towers.options import ImageTowerOptions


def _options(**more):
    return EmbedOptions(
        source=SourceSpec("captions.tsv"), tower=ImageTowerOptions(name="vit_b16"), output="out", **more
    )


def test_workers_have_to_find_the_accelerators_that_their_machines_are_asked_for_with():
    found = _options().on("gpu", 8)
    assert (found.device, found.num_devices) == ("gpu", 8)
    found = _options(device="cpu", num_devices=4).on("gpu", 8)
    assert (found.device, found.num_devices) == ("cpu", 4)  # what the user says
    assert found.recorded() == _options().recorded()  # a job on one machine resumes on another


def test_a_number_of_devices_below_one_is_refused():
    with pytest.raises(ValueError, match="--num-devices must be >= 1, got 0"):
        _options(num_devices=0)


def test_a_seed_of_drawn_rows_needs_a_limit():
    with pytest.raises(ValueError, match="--limit-seed must be >= 0, beside --limit, got 3"):
        _options(limit_seed=3)
    with pytest.raises(ValueError, match="got -1"):
        _options(limit=8, limit_seed=-1)
    assert _options(limit=8, limit_seed=0).rows_per_slice == 16
    assert _options(limit=8, limit_seed=0, rows_per_shard=5).rows_per_slice == 5
    assert _options(limit=8).rows_per_slice == 4096
