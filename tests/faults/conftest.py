"""How many faults, and which: `--faults-scale 1` for the full counts, `--faults-seed N` (or `random`)."""

import contextlib
import math

import pytest

from tests.faults.counts import counts
from tests.faults.forks import forking
from tests.faults.jobs import Undisturbed, content_of, embed, make_source
from tests.towers.tiny_tower import write_weights


@pytest.fixture(scope="session")
def seed(request):
    """The seed from which all faults are drawn; it is printed at the end."""
    return request.config.option.faults_seed


@pytest.fixture(scope="session")
def scaled(request):
    """Returns how many faults to make where the full count is given."""
    return lambda count: math.ceil(count * request.config.option.faults_scale)


@pytest.fixture(scope="session")
def counted():
    """Counts what the summary at the end names."""
    return counts


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
