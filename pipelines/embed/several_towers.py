"""Several towers that embed the same rows in one pass: how they are written, and where the dataset of each goes.

    --towers google/vit-base-patch16-224,mine:wide@wide.npz+resolution=288 --output OUT

Promises: each dataset, in a folder of OUT that is named after its tower, is what a job of that tower alone with this
folder as its output makes, to the byte; either kind of job resumes the other.
"""

import dataclasses
import re
from collections.abc import Iterator

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.schemas.storage import MANIFEST_NAME, absolute, list_names, open_folder
from lit_precompute.towers.options import ImageTowerOptions, OptionsError, read_options

# What may be given for each tower; otherwise the option of the same name holds for all.
_OWN = ("resolution", "resize", "pooling", "compute-type")
_OPTION = re.compile(rf"(?:.*?)\+(?P<name>{'|'.join(_OWN)})=(?P<value>[^=]*)$")


def with_each_tower(options: EmbedOptions, towers: str) -> list[EmbedOptions]:
    """Returns what a job of each tower alone would be asked for.

    Args:
      options: what all have in common; its `output` contains the outputs, and its tower has neither name nor weights.
      towers: `NAME[@WEIGHTS][+OPTION=VALUE...]`, separated by commas.

    Raises:
      ValueError: a tower is not written in this way, two would have one output, or the output is itself a dataset's.
    """
    if options.tower.weights:
        raise ValueError(f"--weights {options.tower.weights}: with --towers, weights follow a name: NAME@WEIGHTS")
    found: dict[str, EmbedOptions] = {}
    for text in towers.split(","):
        tower, folder = read_tower(text, options.tower)
        if folder in found:
            raise ValueError(f"--towers {towers}: two datasets would be {folder} in {options.output}; run one alone")
        output = open_folder(absolute(options.output)).join(folder)
        found[folder] = dataclasses.replace(options, tower=tower, output=output)
    if JobDirectory(absolute(options.output)).noted() is not None:
        raise ValueError(
            f"--output {options.output} is a dataset or a job of one tower; with --towers, give a folder to contain a "
            "dataset for each"
        )
    return list(found.values())


def outputs_in(output: str) -> Iterator[str]:
    """Yields the outputs of jobs, begun or finished, in the folders of a folder."""
    try:
        _, folders, _ = list_names(output)
    except FileNotFoundError:
        return
    for name in sorted(folders):
        inside = open_folder(output).join(name)
        folder = open_folder(inside)
        if folder.exists(MANIFEST_NAME) or JobDirectory(inside).was_begun():
            yield inside


def read_tower(text: str, shared: ImageTowerOptions) -> tuple[ImageTowerOptions, str]:
    """Returns one tower of `--towers`, and the name of its folder.

    Raises:
      ValueError: it is not written as `NAME[@WEIGHTS][+OPTION=VALUE...]`, or has a value that is not allowed.
    """
    rest, own = text.strip(), dict[str, str]()
    while option := _OPTION.match(rest):
        own = {option["name"]: option["value"], **own}
        rest = rest[: option.start("name") - 1]
    name, _, weights = rest.partition("@")
    if not name:
        raise ValueError(f"--towers: must be NAME[@WEIGHTS][+OPTION=VALUE], separated by commas, got {text!r}")
    values = {name.replace("-", "_"): int(value) if value.isdecimal() else value for name, value in own.items()}
    try:
        given = {**dataclasses.asdict(shared), **values, "name": name, "weights": weights or None}
        tower = read_options(ImageTowerOptions, given)
    except OptionsError as error:
        raise ValueError(f"--towers {text}: {error}") from error
    return tower, re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join([name, *own.values()])).strip("-.")
