"""Claims: one directory, one description; everything else is refused before anything is written."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lit_precompute.schemas.claims import Claim, ClaimError, differences, place_in_the_way, refuse_unwritable
from lit_precompute.schemas.storage import open_folder

DESCRIPTION = {"tower": {"name": "a", "width": 8}, "files": [{"path": "x", "bytes": 1}], "seed": 0}


def _claim(folder, note="note.json", **fields):
    advice = {
        "advice_foreign": "take an empty directory",
        "advice_another": "Take another directory",
        "advice_damaged": "take a third directory",
    }
    return Claim(folder=folder, note=note, kind="job", own_prefix="_work", **advice | fields)


def _make(claim, description):
    """Claims as a job does: checks, writes the note unless there is one, compares."""
    claim.refuse_foreign_files()
    claim.create(description)
    claim.refuse_another(claim.read(), description)


@pytest.fixture(params=["local", "memory", "gs", "s3"])
def folder(request, tmp_path):
    if request.param == "local":
        return open_folder(tmp_path / "out")
    if request.param == "memory":
        return open_folder(f"memory:/{tmp_path}/out")
    return open_folder(request.getfixturevalue("gcs_bucket" if request.param == "gs" else "s3_bucket") + "/out")


@pytest.fixture(params=["note.json", "_work/note.json"])
def claim(request, folder):
    return _claim(folder, request.param)


def test_a_claim_may_be_made_again(claim):
    _make(claim, DESCRIPTION)
    _make(claim, DESCRIPTION)
    assert claim.read() == DESCRIPTION
    assert list(claim.folder.find()) == [claim.note]


def test_another_description_is_refused_with_both_values(claim):
    _make(claim, DESCRIPTION)
    other = DESCRIPTION | {"tower": {"name": "b", "width": 8}, "files": [{"path": "x", "bytes": 2}], "more": True}
    message = (
        r"out: belongs to another job: files\.0\.bytes is 1 there, 2 was requested; "
        r"more is None there, True was requested; tower\.name is 'a' there, 'b' was requested\. Take another directory"
    )
    with pytest.raises(ClaimError, match=message):
        _make(claim, other)
    assert claim.read() == DESCRIPTION


def test_many_differences_are_counted(claim):
    _make(claim, {str(number): 0 for number in range(12)})
    with pytest.raises(ClaimError, match=r"; 5 is 0 there, 1 was requested; and 4 more\. Take another directory"):
        _make(claim, {str(number): 1 for number in range(12)})


def test_foreign_files_are_refused_and_own_ones_ignored(claim):
    claim.folder.write("_work.of-a-kill/half", b"")
    claim.refuse_foreign_files()
    claim.folder.write("thesis.tex", b"mine")
    claim.folder.write("figures/1.png", b"mine")
    message = r"out: contains files that do not belong to a job \(figures, thesis\.tex\); take an empty directory"
    for refuse in (claim.refuse_foreign_files, lambda: _make(claim, DESCRIPTION)):
        with pytest.raises(ClaimError, match=message):
            refuse()
    assert not claim.is_made()
    claim.folder.remove("thesis.tex", "figures/1.png")
    claim.folder.remove_folder("figures")
    _make(claim, DESCRIPTION)
    claim.folder.write("result", b"made by the job")
    claim.refuse_foreign_files()


def test_of_claims_at_once_the_first_note_stays(folder):
    claim = _claim(folder, "_work/note.json")

    def attempt(number):
        try:
            _make(claim, {"number": number})
        except ClaimError:
            return None
        return number

    with ThreadPoolExecutor(16) as threads:
        made = [number for number in threads.map(attempt, range(16)) if number is not None]
    assert made == [claim.read()["number"]]
    assert list(folder.find()) == ["_work/note.json"]


def test_a_rewritten_note_is_the_one_that_counts(claim):
    _make(claim, DESCRIPTION)
    claim.rewrite(DESCRIPTION | {"seed": 7})
    _make(claim, DESCRIPTION | {"seed": 7})
    with pytest.raises(ClaimError, match="seed is 7 there, 0 was requested"):
        _make(claim, DESCRIPTION)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"not JSON \(Expecting value: line 1 column 1 \(char 0\)\)"),
        ("[1]", "must be a JSON object, got list"),
        ('{"a":' * 200_000, r"not JSON \(nested too deeply\)"),
        ("\udcff", r"not JSON \('utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_damaged_note_is_one_sentence(claim, content, message):
    _make(claim, DESCRIPTION)
    claim.folder.write(claim.note, content.encode("utf-8", "surrogateescape"))
    for use in (claim.read, lambda: _make(claim, DESCRIPTION)):
        with pytest.raises(ClaimError, match=rf"note\.json: {message}.*; take a third directory$"):
            use()


def test_equal_descriptions_do_not_differ():
    assert differences(DESCRIPTION, DESCRIPTION) == {}
    assert differences({"a": {}}, {"a": {"b": 1}}) == {
        "a": "a is {} there, None was requested",
        "a.b": "a.b is None there, 1 was requested",
    }


def test_what_follows_from_a_difference_is_not_named():
    follows = {"name": ("width", "hash"), "size": ("crop.",), "crop.": ("hash",)}
    found = {"name": "a", "width": 1, "size": 2, "crop": {"kind": "none", "share": 1.0}, "hash": "x"}
    tower = found | {"name": "b", "width": 9, "hash": "y"}
    assert list(differences(found, tower, consequences=follows)) == ["name"]
    size = found | {"size": 3, "crop": {"kind": "central", "share": 0.5}, "hash": "y"}
    assert list(differences(found, size, consequences=follows)) == ["size"]
    crop = found | {"crop": {"kind": "central", "share": 0.5}, "hash": "y"}
    assert list(differences(found, crop, consequences=follows)) == ["crop.kind", "crop.share"]
    assert list(differences(found, found | {"hash": "y", "width": 9}, consequences=follows)) == ["hash", "width"]


def test_parts_of_a_flags_value_are_named_after_the_flag():
    found = differences({"named": {"title": "T"}}, {"named": {"title": "U"}}, {"named": "--named-text"})
    assert list(found.values()) == ["--named-text title is 'T' there, 'U' was requested"]


def test_what_is_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert place_in_the_way(open_folder(tmp_path / "file/deeper/out")) == tmp_path / "file"
    assert place_in_the_way(open_folder(tmp_path / "new/out")) is None
    assert place_in_the_way(open_folder("memory://out")) is None
    with pytest.raises(ClaimError, match=r"/out: .*/file is a file; choose another$"):
        refuse_unwritable(open_folder(tmp_path / "file/out"), "choose another")
    refuse_unwritable(open_folder(tmp_path / "new/out"), "choose another")
