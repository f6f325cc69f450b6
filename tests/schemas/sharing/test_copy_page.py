"""The page on copying: its commands and its Python are run, in order."""

import pathlib
import re
import shlex
import sys

import pytest

from lit_precompute.commands import data
from tests.schemas.making import write

PAGE = pathlib.Path(__file__).parents[3] / "docs/copy.md"


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "cc12m")
    for kind, text in re.findall(r"```(shell|python)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), {})
            continue
        for line in text.splitlines():
            monkeypatch.setattr(sys, "argv", shlex.split(line))
            with pytest.raises(SystemExit) as caught:
                data.main()
            assert caught.value.code == 0, line
