"""`lit-embed run` as a Flex Template of Dataflow: what its users fill in, and how it is launched.

    python -m lit_precompute.commands.flex_template > metadata.json

prints the metadata for `gcloud dataflow flex-template build`, made from the job's options. In the template's image,
Google's launcher runs `containers/flex_template.py` with each parameter as `--name=value`, and Beam's flags in the same
form; the launcher submits what is written to `--template_location`.
"""

import argparse
import dataclasses
import json
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from lit_precompute.commands import embed
from lit_precompute.commands.beam_flags import beam_parser
from lit_precompute.commands.console import errors_as_messages
from lit_precompute.commands.flags import Flag, flags_of
from lit_precompute.pipelines.embed.options import EmbedOptions

_BETWEEN = ";"  # the values of one parameter; gcloud takes commas and Google's launcher spaces for its own
_PLACES = ("source", "output", "weights")
# Empty: the console's way to leave a parameter out.
_URL, _WHOLE_NUMBER, _SWITCH = r".*[a-z0-9]+://.+", r"[0-9]*", r"(true|false)?"
_IMAGE = {
    "name": "sdk_container_image",
    "label": "Image of the workers",
    "helpText": "Image of the workers, from containers/Dockerfile; without one they install packages as they start.",
    "isOptional": True,
    "paramType": "TEXT",
    "regexes": [r"[a-z0-9.:/@_-]*"],
}


def metadata() -> dict[str, Any]:
    """Returns the template's metadata, with a parameter for each option of the job."""
    return {
        "name": "lit-embed",
        "description": "Embeds images with a locked image tower, once, and stores the embeddings with their texts.",
        "parameters": [*map(_parameter, _flags()), _IMAGE],
    }


def arguments_of(parameters: Sequence[str]) -> list[str]:
    """Returns lit-embed's command line for what the launcher passes.

    Args:
      parameters: the template's parameters and Beam's flags, as `--name=value`.

    Raises:
      ValueError: a switch is neither true nor false.
    """
    ours = {_name(flag): flag for flag in _flags()}
    arguments, beam_flags = list[str](), list[str]()
    for parameter in parameters:
        name, _, value = parameter.removeprefix("--").partition("=")
        flag = ours.get(name.replace("-", "_"))
        if flag is None:
            beam_flags.append(parameter)
        elif value:
            arguments += _as_typed(flag, value)
    return ["run", *arguments, "--no-wait", *_known_to_beam(beam_flags)]


def launch() -> None:
    """Entry point in the template's image; exits with the statuses of `lit-embed`."""
    with errors_as_messages():
        sys.argv[1:] = arguments_of(sys.argv[1:])
    embed.main()


def _flags() -> Iterator[Flag]:
    """Yields the flags of `lit-embed run` that a template's user may give."""
    for flag in flags_of(EmbedOptions):
        yield flag._replace(default="") if flag.name == "tower" else flag
    yield Flag("towers", str, "", "Several towers in place of one, in one pass: NAME[@WEIGHTS][+OPTION=VALUE],...")


def _parameter(flag: Flag) -> dict[str, Any]:
    """Returns what Dataflow and its console have to know of a flag."""
    kind = _kind(flag)
    about: dict[str, Any] = {"paramType": "TEXT"}
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        options = [{"value": choice, "label": choice} for choice in choices]
        about = {"paramType": "ENUM", "enumOptions": options, "regexes": [f"({'|'.join(choices)})?"]}
    elif kind is bool:
        about = {"paramType": "BOOLEAN", "regexes": [_SWITCH]}
    elif kind is int:
        about = {"paramType": "NUMBER", "regexes": [_WHOLE_NUMBER]}
    elif flag.name in _PLACES:
        about["regexes"] = [f"({_URL})?" if _is_optional(flag) else _URL]
    if flag.default not in (None, dataclasses.MISSING, (), ""):
        about["defaultValue"] = str(flag.default).lower() if kind is bool else str(flag.default)
    words = f"{flag.help} Separate several by {_BETWEEN}" if kind is tuple else flag.help
    label = flag.name.replace("-", " ").capitalize()
    return {"name": _name(flag), "label": label, "helpText": words, "isOptional": _is_optional(flag), **about}


def _as_typed(flag: Flag, value: str) -> list[str]:
    """Returns a parameter as lit-embed's command line has it."""
    kind = _kind(flag)
    if kind is bool:
        if value not in ("true", "false"):
            raise ValueError(f"{_name(flag)} must be true or false, got {value!r}")
        return [f"--{flag.name}"] if value == "true" else []
    if kind is tuple:
        return [f"--{flag.name}", *(each.strip() for each in value.split(_BETWEEN))]
    return [f"--{flag.name}={value}"]


def _known_to_beam(flags: Sequence[str]) -> list[str]:
    """Returns flags as Beam's command line has them: switches without a value, and none that Beam does not define.

    What the launcher passes besides the template's parameters is Google's choice, which may grow.
    """
    parser = beam_parser()
    actions = parser._option_string_actions  # pyright: ignore[reportPrivateUsage] -- nothing public has them
    known = list[str]()
    for flag in flags:
        name, _, value = flag.partition("=")
        action = actions.get(name)
        if action is None:
            print(f"{flag}: left out, because Apache Beam has no such option")
        elif action.nargs != 0:
            known.append(flag)
        elif value != "false":
            known.append(name)
        elif opposite := _opposite(action, actions.values()):
            known.append(opposite)
    return known


def _opposite(switch: argparse.Action, actions: Iterable[argparse.Action]) -> str | None:
    """Returns the switch that sets the other value, if there is one: `--no_use_public_ips` for `--use_public_ips`."""
    others = (each for each in actions if each.dest == switch.dest and each.nargs == 0 and each.const != switch.const)
    return next((each.option_strings[0] for each in others), None)


def _name(flag: Flag) -> str:
    return flag.name.replace("-", "_")


def _is_optional(flag: Flag) -> bool:
    return flag.default is not dataclasses.MISSING


def _kind(flag: Flag) -> Any:
    """Returns a flag's type: str, int, bool, tuple or a Literal; None as another value is left out."""
    given = [each for each in typing.get_args(flag.type) if each is not types.NoneType]
    kind = given[0] if isinstance(flag.type, types.UnionType) else flag.type
    return typing.get_origin(kind) if typing.get_origin(kind) is tuple else kind


if __name__ == "__main__":
    json.dump(metadata(), sys.stdout, indent=2)
    print()
