"""How many faults, and which: `--faults-scale 1` for the full counts, `--faults-seed N` (or `random`)."""

import collections
import contextlib
import math
import random

import pytest

from tests.faults.forks import forking
from tests.faults.jobs import Undisturbed, content_of, embed, make_source
from tests.towers.tiny_tower import write_weights

_counts = collections.Counter()


def pytest_terminal_summary(terminalreporter, config):
    counts = ", ".join(f"{count} {what}" for what, count in sorted(_counts.items()))
    terminalreporter.write_line(
        f"faults: seed {config.option.faults_seed}, scale {config.option.faults_scale:g}; {counts or 'none counted'}"
    )


@pytest.fixture(scope="session")
def seed(request):
    """The seed from which all faults are drawn; it is printed at the end."""
    if request.config.option.faults_seed == "random":
        request.config.option.faults_seed = str(random.SystemRandom().randrange(10**6))
    return request.config.option.faults_seed


@pytest.fixture(scope="session")
def scaled(request):
    """Returns how many faults to make where the full count is given."""
    return lambda count: math.ceil(count * request.config.option.faults_scale)


@pytest.fixture(scope="session")
def counted():
    """Counts what the summary at the end names."""
    return _counts


@pytest.fixture(scope="session")
def forks():
    with forking() as server:
        yield server


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "weights.npz")


@pytest.fixture(scope="package", params=["disk", "gs", "s3"])
def undisturbed(request, tmp_path_factory, forks, weights):
    """An undisturbed job on disk, in a fake GCS and in a fake S3; commands have temporary files of their own there."""
    folder = tmp_path_factory.mktemp("place")
    with contextlib.ExitStack() as stack:
        place = str(folder / "outputs")
        if request.param != "disk":
            server = request.getfixturevalue("gcs_server" if request.param == "gs" else "s3_server")
            place = stack.enter_context(server.selected()).make_bucket()
        (folder / "temporary").mkdir()
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("TMPDIR", str(folder / "temporary"))
        source, output = make_source(folder, place), f"{place}/undisturbed"
        ended = forks.run(*embed(source, output, weights))
        assert ended.status == 0, ended.said
        yield Undisturbed(request.param, place, source, weights, content_of(output), ended.journal["seconds"])
