import pytest

from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec


@pytest.mark.parametrize(
    "spec",
    [
        SourceSpec("t.csv", format="csv"),
        SourceSpec("t", format="quoted-tsv", gather=True, columns=SourceColumns(text="x", named=("title=T", "tags=K"))),
    ],
)
def test_what_a_manifest_records_gives_the_same_source(spec):
    assert SourceSpec.from_recorded(spec.path, make_source(spec).options) == spec


def test_what_is_no_option_of_a_spec_is_ignored():
    options = {"format": "csv", "columns": {"text": "x"}, "headers_sha256": "ab", "quotes": "kept", "path": 7}
    assert SourceSpec.from_recorded("t", options) == SourceSpec("t", format="csv", columns=SourceColumns(text="x"))
    assert SourceSpec.from_recorded("t", {}) == SourceSpec("t")


@pytest.mark.parametrize(
    "options",
    [
        {"format": 7},
        {"gather": "yes"},
        {"columns": ["path"]},
        {"columns": {"text": 7}},
        {"columns": {"hue": "x"}},
        {"columns": {"named": "x"}},
        {"columns": {"named": {"title": 7}}},
        {"columns": {"text": ""}},
        {"sample_name": ["last-dot"]},
    ],
)
def test_values_of_other_types_are_none_of_a_source(options):
    with pytest.raises(SourceError):
        SourceSpec.from_recorded("t", options)
