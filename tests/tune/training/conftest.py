"""Programs that several tests of training need are compiled once."""

import jax
import pytest


@pytest.fixture(scope="package", autouse=True)
def compiled_once(tmp_path_factory):
    """Most tests train the same recipe: XLA compiles it once and caches it, also for the processes that they start."""
    values = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in values}
    for name, value in values.items():
        jax.config.update(name, value)
    with pytest.MonkeyPatch.context() as environment:  # for the processes started here
        for name, value in values.items():
            environment.setenv(name.upper(), str(value))
        yield
    for name, value in before.items():
        jax.config.update(name, value)
