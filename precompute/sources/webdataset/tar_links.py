"""Links in a tar: to which of its files each one leads.

Promises: as if the tar were unpacked into an empty folder. A symbolic link is relative to its own folder, a hard link
to the tar; links lead through links, also through links to folders, and to later members, too. Where members share a
path, the last one counts, but for a hard link the last one before it. Nothing outside the tar is ever looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from lit_precompute.precompute.sources.source import FileSlice
from lit_precompute.precompute.sources.webdataset.tar_members import Member, read_members

# Linux's limit. It ends cycles, too.
_MAX_LINKS = 40


def find_targets(stream: BinaryIO, path: str, num_bytes: int | None) -> dict[int, Member]:
    """Returns the file that each link of a tar leads to, by the start of the link; dangling links are absent.

    Args:
      stream: the tar, which is read twice.
      path: of the tar, for messages.
      num_bytes: of the tar; None if only reading tells.
    """
    links: list[Member] = []
    tree: dict[str, Member] = {}
    for member in read_members(stream, path, num_bytes=num_bytes):
        where = normal_path(member.name)
        if member.is_link and not is_own_link(member):
            links.append(member)
            tree[where] = member
        elif not member.is_link:
            tree.pop(where, None)
    paths = {link.start: where for link in links if (where := _follow(link, tree)) is not None}
    wanted = set(paths.values())
    files: dict[str, Member] = {}
    targets: dict[int, Member] = {}
    for member in read_members(stream, path, num_bytes=num_bytes):
        if member.kind == "file" and (where := normal_path(member.name)) in wanted:
            files[where] = member
        elif member.kind == "hard link" and (file := files.get(paths.get(member.start, ""))):
            targets[member.start] = file
    last = {start: files[where] for start, where in paths.items() if where in files}
    return last | targets


def normal_path(name: str) -> str:
    """Returns a path in a tar without "./", doubled slashes and a leading slash."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def is_own_link(member: Member) -> bool:
    """Returns whether a member is a hard link to itself, which tar writes for a file that it is given twice."""
    return member.kind == "hard link" and normal_path(member.target) == normal_path(member.name)


def with_links(slices: Sequence[FileSlice], targets: Mapping[int, Member]) -> tuple[FileSlice, ...]:
    """Returns slices of a tar with the links in their bytes, by what `find_targets` found."""
    pairs = np.array([(link, targets[link].start) for link in sorted(targets)], np.int64).reshape(-1, 2)
    linked: list[FileSlice] = []
    for part in slices:
        first, last = np.searchsorted(pairs[:, 0], [part.start, part.stop])
        inside = tuple((int(link), int(file)) for link, file in pairs[first:last])
        linked.append(dataclasses.replace(part, links=inside))
    return tuple(linked)


def follow_all(parts: Mapping[str, Member], target_of: Callable[[Member], Member | None]) -> dict[str, Member]:
    """Returns members of a tar, each link with the bytes of the file it leads to; dangling links stay as they are.

    Args:
      parts: the members by suffix.
      target_of: returns the file that a link leads to, if any.
    """
    followed = dict(parts)
    for suffix, member in parts.items():
        file = target_of(member) if member.is_link else None
        if file is not None:
            followed[suffix] = dataclasses.replace(
                member, data=file.data, size=file.size, kind=file.kind, fault=file.fault
            )
    return followed


def _follow(link: Member, tree: Mapping[str, Member]) -> str | None:
    """Returns the path that a link leads to in the end; None for an absolute one, and if it runs in a circle."""
    done, rest = normal_path(link.name).split("/"), []
    for _ in range(_MAX_LINKS):
        link = _second_name(link, tree)
        if link.kind == "link" and link.target.startswith("/"):
            return None
        done = done[:-1] if link.kind == "link" else []
        rest += link.target.split("/")[::-1]
        following = None
        while rest and following is None:
            part = rest.pop()
            if part == ".." and done[-1:] not in ([], [".."]):
                done.pop()
            elif part not in ("", "."):
                done.append(part)
                following = tree.get("/".join(done))
        if following is None:
            return "/".join(done)
        link = following
    return None


def _second_name(link: Member, tree: Mapping[str, Member]) -> Member:
    """Returns a hard link to a symbolic link as what it is, a symbolic link in its own folder; any other as it is."""
    first = link
    for _ in range(_MAX_LINKS):
        if first.kind == "link":
            return dataclasses.replace(link, kind="link", target=first.target)
        first = tree.get(normal_path(first.target))
        if first is None:
            break
    return link
