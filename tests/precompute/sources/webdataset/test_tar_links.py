import os
import pathlib
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.webdataset.tar_links import find_targets
from lit_precompute.precompute.sources.webdataset.tar_members import read_members
from tests.precompute.sources.webdataset.tars import (
    all_rows,
    contents,
    hard,
    notes,
    open_tars,
    outcome,
    symbolic,
    write_tar,
)


def _images(tmp_path, members, rows_per_slice=1000) -> dict[str, bytes | tuple[str, str]]:
    rows = all_rows(open_tars(write_tar(tmp_path / "d.tar", members), rows_per_slice=rows_per_slice))
    return {row.key.removeprefix("d/"): outcome(row) for row in rows}


@pytest.mark.parametrize("rows_per_slice", [1, 2, 1000])
def test_links_are_images_also_of_members_in_other_units(tmp_path, rows_per_slice):
    members = [
        ("0.jpg", symbolic("x/../5.jpg")),  # to a later member
        ("1.jpg", b"one"),
        ("2.jpg", hard("./1.jpg")),
        ("3.jpg", symbolic("2.jpg")),  # through a hard link
        ("x/4.jpg", symbolic("../3.jpg")),  # through both
        ("5.jpg", b"five"),
        ("6.png", hard("blobs/sha256")),  # to a member without a dot, which is no sample
        ("7.jpg", symbolic("folder/8.jpg")),  # through a link to a folder
        ("folder", symbolic("x")),
        ("x/8.jpg", b"eight"),
        ("blobs/sha256", b"six"),
    ]
    assert _images(tmp_path, members, rows_per_slice) == {
        "0": b"five",
        "1": b"one",
        "2": b"one",
        "3": b"one",
        "x/4": b"one",
        "5": b"five",
        "6": b"six",
        "7": b"eight",
        "x/8": b"eight",
    }


def test_a_linked_text_is_read_and_a_linked_member_without_a_dot_is_not_left_out(tmp_path):
    members = [
        ("shared text", b"the same text"),
        ("README", b"no sample"),
        ("1.jpg", b"one"),
        ("1.txt", symbolic("shared text")),
        ("2.jpg", b"two"),
        ("2.json", hard("3.json")),
        ("3.jpg", b"three"),
        ("3.json", b'{"text": "from JSON", "label": "cat"}'),
    ]
    source = open_tars(write_tar(tmp_path / "d.tar", members))
    assert [(row.texts, row.label) for row in all_rows(source)] == [
        (("the same text",), ""),
        (("from JSON",), "cat"),
        (("from JSON",), "cat"),
    ]
    assert notes(source) == {"no dot in a member's name, left out": (1, f"{tmp_path}/d.tar:README")}


def test_links_that_lead_to_no_file_in_the_tar_are_failures(tmp_path):
    (tmp_path / "outside.jpg").write_bytes(b"never read")
    members = [
        ("0.jpg", b"zero"),
        ("a.jpg", symbolic("../outside.jpg")),
        ("b.jpg", symbolic(f"{tmp_path}/outside.jpg")),
        ("c.jpg", symbolic("d.jpg")),
        ("d.jpg", symbolic("c.jpg")),
        ("e.jpg", hard("nowhere.jpg")),
        ("f.jpg", symbolic("\x1b[31m.jpg")),
        ("g.jpg", b"g"),
        ("g.txt", symbolic("nowhere.txt")),
    ]
    images = _images(tmp_path, members)
    assert images.pop("0") == b"zero"
    sentence = "a link to {}, which is no file in this tar; write the tar with --dereference"
    assert images["a"] == ("missing", "a.jpg: " + sentence.format("'../outside.jpg'"))
    assert images["f"] == ("missing", "f.jpg: " + sentence.format(r"'\x1b[31m.jpg'"))
    assert images["g"] == ("missing", "g.txt: " + sentence.format("'nowhere.txt'"))
    assert {reason for reason, _ in images.values()} == {"missing"}


def test_a_file_that_tar_was_given_twice_is_one_image(tmp_path):
    """GNU tar writes the second one as a hard link to itself."""
    (tmp_path / "1.jpg").write_bytes(b"one")
    subprocess.run(["tar", "-cf", "d.tar", "1.jpg", "./1.jpg"], cwd=tmp_path, check=True)
    source = open_tars(str(tmp_path / "d.tar"))
    assert [outcome(row) for row in all_rows(source)] == [b"one"]
    assert notes(source) == {"second copy of a file, left out": (1, f"{tmp_path}/d.tar:./1.jpg")}


def test_a_link_beside_a_file_of_its_suffix_is_left_out(tmp_path):
    members = [("1.JPG", symbolic("1.jpg")), ("1.jpg", b"one"), ("2.jpg", b"two"), ("2.JPG", symbolic("2.jpg"))]
    source = open_tars(write_tar(tmp_path / "d.tar", members))
    assert [outcome(row) for row in all_rows(source)] == [b"one", b"two"]
    assert notes(source) == {"link with the name of a file, left out": (2, f"{tmp_path}/d.tar:1.JPG")}


def test_units_of_tars_without_links_carry_none_and_others_only_their_own(tmp_path):
    write_tar(tmp_path / "a.tar", [(f"{n}.jpg", b"x") for n in range(6)])
    write_tar(tmp_path / "b.tar", [("0.jpg", b"x"), *((f"{n}.jpg", hard("0.jpg")) for n in range(1, 6))])
    looked = open_tars(str(tmp_path), rows_per_slice=3)
    assert [len(part.links) for look in looked.looks for part in look.slices] == [0, 0, 2, 3]


def test_the_content_notices_where_links_lead(tmp_path):
    def content(target):
        members = [("1.jpg", b"x"), ("2.jpg", b"y"), ("3.jpg", symbolic(target))]
        return contents(open_tars(write_tar(tmp_path / "d.tar", members)))

    assert content("1.jpg") == content("1.jpg")
    assert content("1.jpg") != content("2.jpg")


def test_a_target_that_is_gone_is_an_error(tmp_path):
    source = open_tars(write_tar(tmp_path / "d.tar", [("1.jpg", hard("2.jpg")), ("2.jpg", b"x" * 3000)]))
    write_tar(tmp_path / "d.tar", [("1.jpg", hard("2.jpg"))])
    with pytest.raises(SourceError):
        all_rows(source)


_PATHS = ["a", "b", "d/a", "d/b", "d/d/a", "d/d/b"]
_FOLDERS = ["e", "d/e"]
_TARGETS = [*_PATHS, "e/a", "d/e/b", "../a", "../d/b", "./b", "d//a", "../../a", "e/../b", "/a", "d", "nowhere"]


@st.composite
def _trees(draw):
    """Members with distinct paths; hard links lead to earlier members, as tar writes them."""
    members = []
    for path in draw(st.permutations([*_PATHS, *_FOLDERS])):
        kind = "symbolic" if path in _FOLDERS else draw(st.sampled_from(["file", "symbolic", "hard"]))
        earlier = [name for name, _ in members if name not in _FOLDERS]
        if kind == "hard" and earlier:
            members.append((path, hard(draw(st.sampled_from(earlier)))))
        elif kind == "symbolic":
            targets = ["d", ".", "..", "../d", "d/d"] if path in _FOLDERS else _TARGETS
            members.append((path, symbolic(draw(st.sampled_from(targets)))))
        else:
            members.append((path, path.encode()))
    return members


@settings(max_examples=30)
@given(members=_trees())
def test_links_lead_where_gnu_tar_lets_them_lead(tmp_path_factory, members):
    folder = tmp_path_factory.mktemp("tree")
    path = pathlib.Path(write_tar(folder / "d.tar", members))
    root = folder / "root" / "inner"
    root.mkdir(parents=True)
    unpacked = subprocess.run(["tar", "-P", "-xf", path, "-C", root], stderr=subprocess.PIPE, check=False)
    with path.open("rb") as stream:
        targets = find_targets(stream, str(path), None)
        for member in read_members(stream, str(path), num_bytes=None):
            if not member.is_link:
                continue
            real = pathlib.Path(os.path.realpath(root / member.name))
            expected = real.read_bytes() if real.is_file() and real.is_relative_to(root) else None
            target = targets.get(member.start)
            found = path.read_bytes()[target.data : target.data + target.size] if target else None
            assert found == expected, (member.name, unpacked.stderr)
