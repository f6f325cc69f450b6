"""The commands on docs/select.md have flags that exist."""

import pathlib
import re
import shlex

import pytest
import tyro

from lit_precompute.commands.data.select import Select
from lit_precompute.commands.tune.flags import parse

PAGE = (pathlib.Path(__file__).parents[3] / "docs/select.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (lit-data select .*|lit-tune .*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str):
    program, *arguments = shlex.split(command)
    if program == "lit-tune":
        assert parse(arguments).selections == ("cats.selection",)
    else:
        assert tyro.cli(Select, args=arguments[1:]).output.endswith(".selection")


def test_every_flag_of_a_criterion_is_explained():
    """All but those that only say more of another one are in the table."""
    fields = {name.replace("_", "-") for name in Select.__dataclass_fields__["criteria"].default_factory().__dict__}
    missing = {field for field in fields if f"--{field}" not in PAGE}
    assert missing == set()
