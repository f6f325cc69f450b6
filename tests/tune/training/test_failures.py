"""A full disk is recognised in what the system and the libraries raise, and named in one sentence."""

import errno
import pathlib

import jax
import pytest

from lit_precompute.tune.training.failures import TrainingError, explained_failures
from tests.tune.small_runs import EXECUTION, RECIPE

# What Orbax 0.11 raised on a full disk, shortened.
ORBAX = (
    'RESOURCE_EXHAUSTED: Error writing local file "/run/checkpoints/4.orbax-checkpoint-tmp/_sharding": Failed writing: '
    '"/run/checkpoints/4.orbax-checkpoint-tmp/_sharding.__lock": Failed to write 9749 bytes to file 9: '
    "No space left on device [os_error_code='28']"
)


def fail(error):
    with explained_failures(pathlib.Path("run"), RECIPE, EXECUTION):
        raise error


@pytest.mark.parametrize(
    ("error", "file"),
    [
        (ValueError(ORBAX), ", for /run/checkpoints/4.orbax-checkpoint-tmp/_sharding"),
        (OSError(errno.ENOSPC, "No space left on device", "run/metrics.jsonl"), ", for run/metrics.jsonl"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), ""),
    ],
)
def test_a_full_disk_names_the_file_and_what_to_do(error, file):
    with pytest.raises(TrainingError) as raised:
        fail(error)
    assert str(raised.value).startswith(f"run: no space left on the disk{file}; free some and run the same command")


def test_a_full_disk_that_another_error_hides():
    hidden = RuntimeError("the save failed")
    with pytest.raises(OSError, match="No space") as full:
        pathlib.Path("/dev/full").write_text("x")
    hidden.__context__ = full.value
    with pytest.raises(TrainingError, match="no space left on the disk"):
        fail(hidden)


@pytest.mark.parametrize(
    "error", [ValueError("no"), OSError(errno.EACCES, "Permission denied"), jax.errors.JaxRuntimeError("INTERNAL: no")]
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as raised:
        fail(error)
    assert raised.value is error
