"""The dataset that others are derived from."""

import pytest

from tests.precompute.deriving.making import NUM_ROWS
from tests.schemas.making import write


@pytest.fixture
def base(tmp_path):
    write(tmp_path / "base", NUM_ROWS)
    return tmp_path / "base"
