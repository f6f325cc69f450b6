"""What workers install: the launcher's versions, JAX's build, the stores' drivers."""

import importlib.metadata

import pytest
from packaging.requirements import Requirement

from lit_precompute.pipelines.engines.requirements import pin, requirements


def _by_name(lines):
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def test_workers_get_the_versions_that_the_launcher_has():
    found = _by_name(requirements("cpu", []))
    for name in ("jax", "numpy", "pillow", "pyarrow", "array-record", "flax"):
        assert str(found[name].specifier) == f"=={importlib.metadata.version(name)}"
    assert found["fsspec"].extras == {"http"}


def test_tensorflow_is_the_build_of_the_workers_machine():
    found = _by_name(requirements("cpu", []))
    chosen = {
        machine: [name for name in ("tensorflow", "tensorflow-cpu") if found[name].marker.evaluate(environment)]
        for machine in ("x86_64", "aarch64")
        for environment in [{"platform_machine": machine}]
    }
    assert chosen == {"x86_64": ["tensorflow-cpu"], "aarch64": ["tensorflow"]}
    assert found["tensorflow"].specifier == found["tensorflow-cpu"].specifier


def test_beam_is_left_to_the_workers_image_and_extras_of_others_to_others():
    names = set(_by_name(requirements("cpu", [])))
    assert not names & {"apache-beam", "pytest", "gcsfs", "s3fs", "ruff"}


@pytest.mark.parametrize(("accelerator", "extras"), [("cpu", set()), ("gpu", {"cuda12"}), ("tpu", {"tpu"})])
def test_jax_is_built_for_the_accelerator(accelerator, extras):
    assert _by_name(requirements(accelerator, []))["jax"].extras == extras


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("gs://bucket/a.tar", "gcsfs"),
        ("s3://bucket/a.tar", "s3fs"),
        ("simplecache::s3://bucket/a.tar", "s3fs"),
        ("https://host/a.tar", None),
        ("hdfs://host/a.tar", None),  # by pyarrow
        ("/data/a.tar", None),
    ],
)
def test_a_store_brings_its_driver(url, driver):
    plain = set(_by_name(requirements("cpu", [])))
    assert set(_by_name(requirements("cpu", [url]))) - plain == ({driver} if driver else set())


def test_a_version_that_no_registry_has_is_not_asked_for(monkeypatch):
    class Local:
        def __init__(self, version, url=None):
            self.version, self.url = version, url

        def read_text(self, name):
            return self.url

    versions = {"a": Local("1.0+cuda"), "b": Local("1.0.dev3"), "c": Local("1.0", "{}"), "d": Local("1.0")}
    monkeypatch.setattr(importlib.metadata, "distribution", versions.__getitem__)
    assert [pin(name) for name in versions] == ["", "", "", "==1.0"]
