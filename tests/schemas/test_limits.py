"""Limits as a count or a share."""

import pytest

from lit_precompute.schemas.limits import limit


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("100", 100), ("0.5%", 10), ("100%", 2_000), ("0.04%", 0)])
def test_counts_and_shares(text, expected):
    assert limit("--max-missing", text, 2_000) == expected


@pytest.mark.parametrize("text", ["-1", "1.5", "101%", "-1%", "nan%", "", "%", "many"])
def test_refuses_all_else(text):
    with pytest.raises(ValueError, match=r"--max-missing must be a count like 100 or a share like 0\.5%"):
        limit("--max-missing", text, 2_000)
