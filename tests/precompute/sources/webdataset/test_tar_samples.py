import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from tests.precompute.sources.webdataset.tars import all_rows, make_tars, open_tars, outcome, units_of, write_tar

_FINE = [("0001.jpg", b"fine"), ("0001.txt", b"a text")]


def _keys(path: str, rows_per_slice: int = 1000, **options) -> dict[str, bytes | str]:
    """Returns each row's image, or the message of its failure, by key."""
    rows = all_rows(open_tars(path, rows_per_slice=rows_per_slice, **options))
    found = {row.key.removeprefix("d/"): outcome(row) for row in rows}
    assert len(found) == len(rows)
    return {key: image if isinstance(image, bytes) else image[1] for key, image in found.items()}


def _dots(name: str, suffix: str) -> str:
    return (
        f"{name}.{suffix} is cut at its first dot, as webdataset does, into the sample {name!r} and the suffix "
        f"{suffix!r}, which is no image's: give --sample-name last-dot if the dots are part of the names, or choose "
        "images by their suffix with --image-column"
    )


@pytest.mark.parametrize("rows_per_slice", [1, 2, 3, 1000])
def test_each_image_that_the_first_dot_loses_is_a_failure(tmp_path, rows_per_slice):
    ends = [f"{n} front" for n in range(4)]
    members = [(f"cam 2.{end}.{kind}", end.encode()) for end in ends for kind in ("jpg", "txt")]
    path = write_tar(tmp_path / "d.tar", [*_FINE, *members, ("0002.jpg", b"fine, too")])
    lost = {f"cam 2.{end}.jpg": _dots("cam 2", f"{end}.jpg") for end in ends}
    assert _keys(path, rows_per_slice) == {"0001": b"fine", **lost, "0002": b"fine, too"}
    whole = {f"cam 2.{end}": end.encode() for end in ends}
    assert _keys(path, rows_per_slice, sample_name="last-dot") == {"0001": b"fine", **whole, "0002": b"fine, too"}


@pytest.mark.parametrize(
    ("members", "lost", "kept"),
    [
        (["a.1.jpg", "a.1.json"], ["a.1.jpg"], []),
        (["Dr.Smith.png", "Dr.Smith.txt"], ["Dr.Smith.png"], []),
        (["a.jpg", "a.txt", "a.1.jpg", "a.2 b.JPG"], ["a.1.jpg", "a.2 b.JPG"], ["a"]),
        (["a.txt", "a.2 b.jpg"], ["a.2 b.jpg"], []),
        (["x.y/J. Doe.jpg", "x.y/J. Roe.jpg"], ["x.y/J. Doe.jpg", "x.y/J. Roe.jpg"], []),
        (["a.png.jpg"], ["a.png.jpg"], []),
        # Kinds of members in webdataset's sense, and no images.
        (["a.jpg", "a.seg.png", "a.depth_2.v1.png", "a.jpg.json"], [], ["a"]),
        (["a.left.png", "a.right.png", "a.txt"], [], ["a"]),
        (["a.1 b.txt"], [], ["a"]),
    ],
)
def test_names_with_dots_and_suffixes_of_several_words_are_told_apart(tmp_path, members, lost, kept):
    path = write_tar(tmp_path / "d.tar", [*_FINE, *((name, b"") for name in members)])
    found = _keys(path)
    assert sorted(found) == sorted(["0001", *lost, *kept])
    assert all("first dot" in found[name] for name in lost)


def test_without_any_image_names_with_dots_are_explained(tmp_path):
    path = write_tar(tmp_path / "d.tar", [("cam 2.0 a.jpg", b""), ("cam 2.0 a.txt", b""), ("\x1b.1.jpg", b"")])
    with pytest.raises(SourceError, match=r"there are '0 a.jpg', '1.jpg'; cam 2.0 a.jpg is cut at its first dot"):
        open_tars(path)
    with pytest.raises(SourceError, match=r"; \\x1b.1.jpg is cut at its first dot"):
        open_tars(write_tar(tmp_path / "e.tar", [("\x1b.1.jpg", b"")]))


def test_the_image_is_chosen_by_its_suffix(tmp_path):
    members = [
        (f"{n:04}.{kind}", f"{kind} {n}".encode()) for n in range(3) for kind in ("left.png", "Right.png", "txt")
    ]
    path = write_tar(tmp_path / "d.tar", [*members, ("0003.left.png", b"alone"), ("0003.1.png", b"")])
    with pytest.raises(SourceError, match=r"there are 'left.png', 'right.png', 'txt', '1.png'; 0000.left.png is cut"):
        open_tars(path)
    for chosen in ("right.png", ".RIGHT.png"):
        assert _keys(path, columns=SourceColumns(image=chosen)) == {
            **{f"000{n}": f"Right.png {n}".encode() for n in range(3)},
            "0003": "no member right.png in the sample, only 1.png, left.png",
        }
    with pytest.raises(
        SourceError, match=r"no sample has a member 'middle.png', the image .*; there are 'left.png', 'ri"
    ):
        open_tars(path, columns=SourceColumns(image="middle.png"))


def test_a_chosen_suffix_comes_before_the_usual_order(tmp_path):
    path = write_tar(tmp_path / "d.tar", [("1.jpg", b"jpg"), ("1.png", b"png"), ("1.2.jpg", b"another")])
    assert _keys(path, columns=SourceColumns(image="png")) == {"1": b"png"}


def test_samples_without_an_image_name_the_option(tmp_path):
    path = write_tar(tmp_path / "d.tar", [*_FINE, ("2.left.png", b""), ("2.txt", b"")])
    assert _keys(path)["2"] == "no image in the sample, only left.png, txt; --image-column chooses one"


def test_the_sample_name_belongs_to_the_source_unless_it_is_the_default(tmp_path):
    path = write_tar(tmp_path / "d.tar", _FINE)
    assert make_tars(path, sample_name="last-dot").options["sample_name"] == "last-dot"
    assert make_tars(path).options.keys() == {"columns"}


def test_options_that_mean_nothing_for_the_source_are_refused(tmp_path):
    path = write_tar(tmp_path / "d.tar", _FINE)
    with pytest.raises(SourceError, match=r"a key column 'id' is for tables; in tars a row's key is the sample's name"):
        open_tars(path, columns=SourceColumns(key="id"))
    with pytest.raises(SourceError, match=r"sample_name must be one of \['first-dot', 'last-dot'\], got 'dot'"):
        open_tars(path, sample_name="dot")


_names = st.text("ab1. ", min_size=1, max_size=6)


@settings(max_examples=30)
@given(names=st.lists(_names, min_size=1, max_size=12, unique=True), rows_per_slice=st.integers(1, 4))
def test_units_hold_the_planned_rows_whatever_the_names(tmp_path_factory, names, rows_per_slice):
    members = [(f"{name}.{kind}", name.encode()) for name in sorted(names) for kind in ("jpg", "txt")]
    path = write_tar(tmp_path_factory.mktemp("tar") / "d.tar", [("0.jpg", b"fine"), *members])
    try:
        looked = open_tars(path, rows_per_slice=rows_per_slice)
    except SourceError as error:
        assert "keys must be unique" in str(error)
        return
    units = [[row.key for row in rows] for rows in units_of(looked, rows_per_slice)]
    assert [len(keys) for keys in units] == [unit.num_rows for unit in looked.units(rows_per_slice)]
    expected = [row.key for row in all_rows(open_tars(path))]
    assert [key for keys in units for key in keys] == expected
    slices = [part for look in looked.looks for part in look.slices]
    assert [key for part in slices for key, _ in looked.source.keys(part)] == expected
