"""lit-data verify says which command mends each fault, and lit-data repair is that command."""

import shutil
import sys

import pytest

from lit_precompute.commands import data
from tests.schemas.making import files_of, write

FIRST = "captions/part-00000.arrayrecord"


@pytest.fixture
def lit_data(capsys, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lit-data", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            data.main()
        out, err = capsys.readouterr()
        return caught.value.code, out + err

    return run


@pytest.fixture
def place(tmp_path):
    write(tmp_path / "d")
    shutil.copytree(tmp_path / "d", tmp_path / "sound")
    return tmp_path


def test_the_command_that_verify_names_mends_the_files(lit_data, place):
    (place / "d" / FIRST).unlink()
    (place / "d/stray.txt").write_text("")
    status, said = lit_data("verify", place / "d")
    assert status == 1
    assert f"for 1 of them:  lit-data repair {place}/d --from COPY\n" in said
    assert "for 1 of them:  remove these files\n" in said
    (place / "d/stray.txt").unlink()
    status, said = lit_data("repair", place / "d", "--from", place / "sound")
    assert status == 0
    assert f"mended: {place}/d/{FIRST}\n" in said
    assert "d: 1 file mended" in said
    assert files_of(place / "d") == files_of(place / "sound")
    status, said = lit_data("repair", place / "d", "--from", place / "sound")
    assert (status, f"{place}/d: no file is missing, truncated or changed\n" in said) == (0, True)


def test_that_a_base_was_not_looked_at_is_said(lit_data, tmp_path):
    for name in ("base", "derived"):
        shutil.copytree(f"tests/golden/dataset_v3/{name}", tmp_path / name)
    (tmp_path / "base" / FIRST).unlink()
    status, said = lit_data("repair", tmp_path / "derived", "--from", tmp_path / "derived")
    assert status == 0
    assert f"{tmp_path}/derived: no file of its own is missing, truncated or changed\n" in said
    assert "not looked at: the tables in ../base, a dataset of its own; lit-data verify looks at them, too\n" in said


def test_a_damaged_manifest_is_mended_too(lit_data, place):
    (place / "d/manifest.json").write_text("{")
    status, said = lit_data("verify", place / "d")
    assert (status, f"lit-data repair {place}/d --from COPY" in said) == (1, True)
    status, said = lit_data("repair", place / "d", "--from", place / "sound")
    assert (status, f"mended: {place}/d/manifest.json" in said) == (0, True)
    assert lit_data("verify", place / "d")[0] == 0


def test_a_mended_manifest_alone_is_counted(lit_data, place):
    (place / "d/manifest.json").write_text("{")
    assert f"{place}/d: 1 file mended\n" in lit_data("repair", place / "d", "--from", place / "sound")[1]


def test_what_is_left_is_said(lit_data, place):
    (place / "d" / FIRST).unlink()
    write(place / "other", 30, failures=0)
    shutil.rmtree(place / "other/captions")
    status, said = lit_data("repair", place / "d", "--from", place / "other")
    assert status == 1
    assert f"left: {place}/other/{FIRST}: the file is missing" in said
    assert "d: 0 of 1 file mended; give another copy (--from), or --embed\n" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--from COPY or --embed: give one, or both"),
        (["--from", "sound", "--weights", "w"], "--weights: only with --embed"),
        (["--from", "nowhere"], "there is no directory"),
        (["--embed"], "--embed needs a dataset of 'lit-embed run', got None"),
    ],
)
def test_refused(lit_data, place, monkeypatch, arguments, message):
    monkeypatch.chdir(place)
    (place / "d" / FIRST).unlink()
    status, said = lit_data("repair", "d", *arguments)
    assert (status, message in said) == (2, True), said
