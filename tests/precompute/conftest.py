"""Locks on accelerators that end with a test."""

import pytest

from lit_precompute.precompute import device_locks


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder where this process, which holds no lock at first, keeps its locks."""
    held = {}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(device_locks, "_held", held)
    yield tmp_path
    for file in held.values():
        file.close()
