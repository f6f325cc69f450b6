"""lit-tune on datasets in stores, as a program that is killed."""

import dataclasses

import pytest

from tests.tune.small_runs import (
    EXECUTION,
    RECIPE,
    finish,
    has_checkpoint,
    kill_when,
    model_bytes,
    start,
    train,
    write_dataset,
)

pytestmark = [pytest.mark.usefixtures("own_cache"), pytest.mark.standard_promotion, pytest.mark.slow]

EXECUTION = dataclasses.replace(EXECUTION, memory_budget_bytes=5_000)


def test_killed_and_resumed_it_ends_in_the_bits_of_a_run_on_a_disk(tmp_path, gcs_bucket):
    url = write_dataset(f"{gcs_bucket}/dataset", rows_per_shard=32)
    output = tmp_path / "there"
    process = start(url, output, execution=EXECUTION)
    assert kill_when(process, has_checkpoint(output))
    process.communicate()
    status, words, errors = finish(start(url, output, execution=EXECUTION))
    assert status == 0, errors
    assert "resuming after step" in words
    train(write_dataset(tmp_path / "dataset", rows_per_shard=32), tmp_path / "here", RECIPE, EXECUTION)
    assert model_bytes(output) == model_bytes(tmp_path / "here")
