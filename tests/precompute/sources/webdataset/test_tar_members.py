import io
import pathlib
import subprocess
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.webdataset.tar_members import read_members
from tests.precompute.sources.webdataset.tars import all_rows, notes, open_tars, outcome, write_tar


def test_every_member_that_is_skipped_is_counted(tmp_path):
    path = write_tar(
        tmp_path / "d.tar",
        [
            ("README", b""),
            ("folder", (tarfile.DIRTYPE, "")),
            ("folder.x", (tarfile.DIRTYPE, "")),
            ("LICENSE", b""),
            ("._1.jpg", b"of macOS"),
            ("x/.hidden.jpg", b""),
            ("__index__.json", b"{}"),
            ("pipe.jpg", (tarfile.FIFOTYPE, "")),
            ("device.jpg", (tarfile.CHRTYPE, "")),
            ("volume.jpg", (b"V", "")),
            ("__1.jpg", b"a usual name"),
        ],
    )
    source = open_tars(path)
    assert [(row.key, outcome(row)) for row in all_rows(source)] == [("d/__1", b"a usual name")]
    assert notes(source) == {
        "device, pipe or other special member, left out": (3, f"{path}:pipe.jpg"),
        "hidden file, left out": (2, f"{path}:._1.jpg"),
        "no dot in a member's name, left out": (2, f"{path}:README"),
        "__name__ member, left out": (1, f"{path}:__index__.json"),
    }


@pytest.mark.parametrize("format", ["gnu", "pax"])
def test_a_sparse_file_is_a_failure_and_its_neighbours_are_read(tmp_path, format):
    with (tmp_path / "2.jpg").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    for name in ("1.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    names = ["1.jpg", "2.jpg", "3.jpg"]
    subprocess.run(["tar", "--sparse", f"--format={format}", "-cf", "d.tar", *names], cwd=tmp_path, check=True)
    assert (tmp_path / "d.tar").stat().st_size < 1 << 20
    fault = "2.jpg: a sparse file, which is stored in parts; write the tar without --sparse"
    rows = all_rows(open_tars(str(tmp_path / "d.tar")))
    assert [outcome(row) for row in rows] == [b"1.jpg", ("unreadable", fault), b"3.jpg"]


def _with_field(start: int, field: bytes, type: bytes = tarfile.REGTYPE) -> bytes:
    """Returns a tar of one member with a field of its header replaced, and the check sum made to fit."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("1.jpg"))
    data = bytearray(stream.getvalue())
    data[156:157] = type
    data[start : start + len(field)] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_with_field(124, b"\xff" * 10 + b"\xfc\x00"), r"byte 0: .*'1.jpg' has a size of -1024 bytes"),
        (_with_field(124, b"\x80" + b"\x7f" * 11), r"byte 0: .*'1.jpg' ends at byte \d+, beyond the end of the file"),
        (
            _with_field(124, b"\x80" + b"\0" * 6 + b"\x01" * 5, tarfile.GNUTYPE_LONGNAME),
            "a header of 4,311,810,305 bytes",
        ),
        (_with_field(124, b"\xff" * 10 + b"\xfc\x00", tarfile.XHDTYPE), "a header of -1,024 bytes"),
        (_with_field(0, "\U0001f600".encode() + b"\xff.jpg"), r"byte 0: the name .* is not UTF-8"),
    ],
)
def test_hostile_headers_are_refused(tmp_path, data, message):
    (tmp_path / "d.tar").write_bytes(data)
    with pytest.raises(SourceError, match=message):
        open_tars(str(tmp_path / "d.tar"))


def _pax(path: pathlib.Path, headers: dict[str, str], own: dict[str, str]) -> str:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        for name in ("1.jpg", "2.jpg"):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = 3, own
            tar.addfile(info, io.BytesIO(name[:3].encode()))
    return str(path)


def test_a_comment_for_the_whole_tar_is_ignored_and_a_name_refused(tmp_path):
    """As `git archive` writes it."""
    source = open_tars(_pax(tmp_path / "d.tar", {"comment": "a commit"}, {}), rows_per_slice=1)
    assert [outcome(row) for row in all_rows(source)] == [b"1.j", b"2.j"]
    with pytest.raises(SourceError, match="a global header sets the path of all members"):
        open_tars(_pax(tmp_path / "e.tar", {"path": "3.jpg"}, {}))


def test_pax_headers_that_make_no_sense_are_damage(tmp_path):
    with pytest.raises(SourceError, match="damaged or truncated"):
        open_tars(_pax(tmp_path / "d.tar", {}, {"GNU.sparse.map": "a,b", "GNU.sparse.size": "3"}))
    with pytest.raises(SourceError, match="damaged or truncated"):
        open_tars(_pax(tmp_path / "e.tar", {}, {"size": "-1536"}))


def test_messages_show_no_control_characters(tmp_path):
    members = [("0.jpg", b"x"), ("1\x1b[31m.\x07p3", b""), ("2\x1b.jpg", b""), ("2\x1b.txt", b"\xff"), ("\x1b", b"")]
    source = open_tars(write_tar(tmp_path / "d.tar", members))
    rows = all_rows(source)
    assert outcome(rows[1]) == ("missing", r"no image in the sample, only \x07p3")
    assert outcome(rows[2]) == ("unreadable", r"2\x1b.txt: not UTF-8 at byte 0")
    assert [row.source.rpartition(":")[2] for row in rows] == ["0.jpg", r"1\x1b[31m", r"2\x1b.jpg"]
    assert [first for _, first in notes(source).values()] == [rf"{tmp_path}/d.tar:\x1b"]


_NAMES = st.text("ab./é", min_size=1, max_size=120).map(lambda name: f"{name}x")


@settings(max_examples=40)
@given(
    members=st.lists(st.tuples(_NAMES, st.sampled_from([b"", b"one", b"x" * 600])), max_size=5),
    format=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_members_are_those_that_tarfile_finds(tmp_path_factory, members, format):
    path = write_tar(tmp_path_factory.mktemp("tar") / "d.tar", members, format)
    with tarfile.open(path) as tar:
        expected = [(info.name, info.offset, info.offset_data, info.size, info.chksum) for info in tar]
    with pathlib.Path(path).open("rb") as stream:
        found = list(read_members(stream, path, num_bytes=pathlib.Path(path).stat().st_size))
    # Of a long name tarfile gives the start of the last of its headers.
    assert [(each.name, each.data, each.size, each.check_sum) for each in found] == [
        (name, data, size, check_sum) for name, _, data, size, check_sum in expected
    ]
    assert [each.start for each in found] == [0, *(each.stop for each in found)][:-1]
