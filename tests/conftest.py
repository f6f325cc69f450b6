"""Settings that every test needs before JAX, TensorFlow, Beam or our own modules are imported."""

import logging
import os

# Two host devices, so that code that shards over devices is tested as such; TensorFlow stays quiet.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import pytest

from tests import signatures
from tests.faults.counts import (  # noqa: F401 -- hooks
    pytest_addoption,
    pytest_configure,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.stores.servers import bucket, gcs_bucket, gcs_server, s3_bucket, s3_server  # noqa: F401 -- fixtures

# As Hypothesis itself has it in CI: an example may take as long as the machine needs.
hypothesis.settings.register_profile(
    "patient", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

signatures.check_modules("lit_precompute.towers", "lit_precompute.precompute", "lit_precompute.tune")


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory):
    """Keeps the tests, and the commands that they run, out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIT_PRECOMPUTE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def warnings_are_logged():
    """Undoes what commands that earlier tests or fixtures ran in this process did to the root logger and to ours."""
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "lit_precompute":
            logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def own_cache(tmp_path_factory, monkeypatch):
    """A cache of this test alone, which is empty."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE", str(folder))
    return folder


def _strict_promotion(scope: str):
    """Returns a fixture under which JAX mixes no arrays of two types, in all tests but those with the marker."""

    @pytest.fixture(autouse=True, scope=scope, name=f"strict_promotion_of_a_{scope}")
    def strict_promotion(request):
        standard = request.node.get_closest_marker("standard_promotion")
        with jax.numpy_dtype_promotion("standard" if standard else "strict"):
            yield

    return strict_promotion


# Fixtures of a module are set up before those of its functions.
_of_modules, _of_functions = _strict_promotion("module"), _strict_promotion("function")
