import fsspec
import pytest

from lit_precompute.precompute.sources.listing import MAX_FILES, expand_braces, list_files, relative_name
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import find_described

ENDINGS = (".csv", ".csv.gz")


@pytest.fixture(params=["disk", "store"])
def root(request, tmp_path):
    """A folder with files of 1, 2, 3 ... bytes, on this disk and in a store."""
    names = ["a-0.csv", "a-1.csv", "a-2.csv.gz", "b-[x].csv", "notes.txt", "sub/c.CSV"]
    if request.param == "disk":
        (tmp_path / "sub").mkdir()
        for number, name in enumerate(names, start=1):
            (tmp_path / name).write_bytes(bytes(number))
        yield str(tmp_path)
    else:
        store = fsspec.filesystem("memory")
        store.pipe({f"/listing/{name}": bytes(number) for number, name in enumerate(names, start=1)})
        yield "memory://listing"
        store.rm("/listing", recursive=True)


def _listed(path: str, root: str, find=find_described) -> list[tuple[str, int | None]]:
    files = list_files(path, find, ENDINGS)
    # fsspec spells memory://a as memory:///a.
    start = root.partition("://")[2] or root
    return [(file.path.rpartition(f"{start}/")[2], file.num_bytes) for file in files]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a-1.csv", [("a-1.csv", 2)]),
        ("notes.txt", [("notes.txt", 5)]),
        ("", [("a-0.csv", 1), ("a-1.csv", 2), ("a-2.csv.gz", 3), ("b-[x].csv", 4)]),
        ("a-*.csv", [("a-0.csv", 1), ("a-1.csv", 2)]),
        ("a-{1,0}.csv", [("a-1.csv", 2), ("a-0.csv", 1)]),
        ("a-{0..2}.csv*", [("a-0.csv", 1), ("a-1.csv", 2), ("a-2.csv.gz", 3)]),
        ("s*", [("sub/c.CSV", 6)]),
        ("b-[x].csv", [("b-[x].csv", 4)]),
    ],
)
def test_what_a_path_means_with_sizes(root, path, expected):
    assert _listed(f"{root}/{path}", root) == expected


def test_versions_are_listed_and_differ_once_a_file_has_changed(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    (before,) = list_files(str(tmp_path), find_described, ENDINGS)
    (tmp_path / "a.csv").write_text("bb")
    (after,) = list_files(str(tmp_path), find_described, ENDINGS)
    assert before.version and before.version != after.version


def test_a_file_that_no_listing_has_may_still_be_opened(root):
    assert [file.num_bytes for file in list_files(f"{root}/gone.csv", find_described, ENDINGS)] == [None]
    assert [file.path for file in list_files("https://a.example/t.csv?x=[1]", find_described, ENDINGS)] == [
        "https://a.example/t.csv?x=[1]"
    ]


def test_what_has_no_files_is_refused(root):
    with pytest.raises(SourceError, match=r"z-\*\.csv: no such files"):
        list_files(f"{root}/z-*.csv", find_described, ENDINGS)
    with pytest.raises(SourceError, match=r"sub: the folder has no file that ends in \.tar"):
        list_files(f"{root}/sub", find_described, (".tar",))


def test_files_that_braces_name_cost_one_listing_of_a_store():
    store = fsspec.filesystem("memory")
    store.pipe({f"/many/{number:04d}.csv": b"x" for number in range(1000)})
    asked = []

    def find(pattern):
        asked.append(pattern)
        return find_described(pattern)

    files = list_files("memory:///many/{0000..0999}.csv", find, ENDINGS)
    assert [file.path for file in files] == [f"memory:///many/{number:04d}.csv" for number in range(1000)]
    assert {file.num_bytes for file in files} == {1}
    assert len(asked) == 2
    with pytest.raises(SourceError, match=r"many/1000\.csv: no such file; .* names 1,001 files"):
        list_files("memory:///many/{0000..1000}.csv", find, ENDINGS)
    store.rm("/many", recursive=True)


def test_files_that_braces_name_have_to_be_there(root):
    with pytest.raises(SourceError, match=r"a-2\.csv: no such file; .*a-\{0\.\.2\}\.csv names 3 files$"):
        list_files(f"{root}/a-{{0..2}}.csv", find_described, ENDINGS)
    with pytest.raises(SourceError, match=r"a-2\.csv: no such file; .* names 12 files, 10 of which are not there"):
        list_files(f"{root}/a-{{0..11}}.csv", find_described, ENDINGS)


def test_braces_are_expanded_in_the_order_written():
    assert expand_braces("a{b,c}d{1..2}") == ["abd1", "abd2", "acd1", "acd2"]
    assert expand_braces("x{08..10}") == ["x08", "x09", "x10"]
    assert expand_braces("x{8..10}") == ["x8", "x9", "x10"]
    with pytest.raises(SourceError, match=f"the braces mean 100,000,000 files, at most {MAX_FILES:,} are read"):
        expand_braces("{0..9999}{0..9999}")


@pytest.mark.parametrize(
    ("given", "path", "name"),
    [
        ("data", "data/a/b.parquet", "a/b.parquet"),
        ("data/", "data/b.parquet", "b.parquet"),
        ("data/b.parquet", "data/b.parquet", "b.parquet"),
        ("data/*/b.parquet", "data/a/b.parquet", "a/b.parquet"),
        ("*.parquet", "b.parquet", "b.parquet"),
        ("gs://data/{0..3}.arrow", "gs://data/1.arrow", "1.arrow"),
        ("data[1]", "data[1]/b.parquet", "b.parquet"),  # a folder of that name
        ("https://host/a[1]/b.parquet", "https://host/a[1]/b.parquet", "b.parquet"),  # no pattern in an address
    ],
)
def test_names_are_relative_to_what_was_given(given, path, name):
    assert relative_name(given, path) == name
