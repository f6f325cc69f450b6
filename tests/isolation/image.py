"""The packages of a worker's image: those that some requirements need, linked from the packages installed here.

Nothing else that is installed here can be imported there, so a requirement that a job forgets is missed. Links lead to
`packages/N` in the worker's root, where the folders that have the packages are mounted.
"""

import collections
import importlib.metadata
import pathlib
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def folders_of_packages():
    """Returns the folders that packages are installed in, in the order in which Python looks."""
    return [path for path in map(pathlib.Path, sys.path) if path.name in ("site-packages", "dist-packages")]


def needed(lines):
    """Returns the names of the distributions that these requirements need, those of others in turn included."""
    waiting, names, seen = [(Requirement(line), "") for line in lines], set(), set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        distribution = importlib.metadata.distribution(requirement.name)
        names.add(canonicalize_name(distribution.name))
        for own in ("", *requirement.extras):
            if (distribution.name, own) not in seen:
                seen.add((distribution.name, own))
                waiting += [(Requirement(line), own) for line in distribution.requires or []]
    return names


def link_packages(names, target, root):
    """Links the files of these distributions into a folder; a folder that is all theirs is one link."""
    for number, folder in enumerate(folders_of_packages()):
        owners = collections.defaultdict(set)
        for distribution in importlib.metadata.distributions(path=[str(folder)]):
            name = canonicalize_name(distribution.name)
            for file in distribution.files or []:
                if ".." not in file.parts and not file.is_absolute():
                    for depth in range(1, len(file.parts) + 1):
                        owners[file.parts[:depth]].add(name)
        _link(owners, names, target, root / "packages" / str(number))


def _link(owners, names, target, source):
    below = collections.defaultdict(list)
    for path in owners:
        below[path[:-1]].append(path)
    waiting = [()]
    while waiting:
        for path in below[waiting.pop()]:
            place = target.joinpath(*path)
            if owners[path] <= names:
                if not place.is_symlink():
                    place.symlink_to(source.joinpath(*path))
            elif owners[path] & names:
                place.mkdir(exist_ok=True)
                waiting.append(path)
