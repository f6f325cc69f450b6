"""Rows that are trained on and rows that are held out, so that several datasets of the same rows are compared fairly.

Promises: which of them a row is depends on keys, texts and images alone, not on a row's place, so that it is the same
in every dataset. No held-out row has a text or an image of any other row, held out or trained on: nothing of it was
seen, and nothing else answers its query as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """What makes two rows alike: a text or the image that both have."""

    texts: Sequence[str]
    image: Hashable


class Split(NamedTuple):
    """Keys of rows.

    Attributes:
      trained_on: sorted.
      held_out: sorted.
      left_out: sorted; they share a text or an image with a held-out row.
      num_alike: rows that share a text or an image with another.
    """

    trained_on: list[str]
    held_out: list[str]
    left_out: list[str]
    num_alike: int


def split_fairly(rows: Mapping[str, Row], num_held_out: int) -> Split:
    """Returns which rows are held out: as many, in the order of their keys' hashes.

    Rows that share a text or an image, directly or through others, are a group. Rows that are alone come first; only
    where there are too few of them, one row of a group is held out, and the others are left out. Texts are
    compared without regard to case and white space.

    Args:
      rows: by key; each has a text.
      num_held_out: how many to hold out, if there are as many groups.
    """
    groups = _groups(rows)
    order = sorted(groups, key=lambda group: (len(group) > 1, _hash(group[0])))
    held_out = [group[0] for group in order[:num_held_out]]
    left_out = [key for group in order[:num_held_out] for key in group[1:]]
    trained_on = [key for group in order[num_held_out:] for key in group]
    num_alike = sum(len(group) for group in groups if len(group) > 1)
    return Split(sorted(trained_on), sorted(held_out), sorted(left_out), num_alike)


def _groups(rows: Mapping[str, Row]) -> list[list[str]]:
    """Returns the keys of each group, those with the smallest hash first."""
    leader = {key: key for key in rows}

    def find(key: str) -> str:
        while leader[key] != key:
            leader[key] = leader[leader[key]]  # shorter for the next one
            key = leader[key]
        return key

    first: dict[Hashable, str] = {}
    for key, row in rows.items():
        for mark in [("image", row.image), *(("text", " ".join(text.casefold().split())) for text in row.texts)]:
            leader[find(key)] = find(first.setdefault(mark, key))
    groups: dict[str, list[str]] = {}
    for key in sorted(rows, key=_hash):
        groups.setdefault(find(key), []).append(key)
    return list(groups.values())


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
