"""Two datasets, or a dataset and a file, without a common key: what differs between a key of each, if that is evident.

The two are of different rows. So only what distinguishes whole naming schemes is said: folders, endings, case, zeros.
"""

import posixpath
import re
from typing import NamedTuple

from lit_precompute.schemas.wording import one_line

# Of a file's name: `cat.jpg`, `cat.tar.gz`, not `figure 1.5`.
_ENDING = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,4})+$")


class _Parts(NamedTuple):
    folder: str
    stem: str
    ending: str


def unlike_keys(one: str, other: str) -> str:
    """Returns in which parts two keys differ, such as "in folder and ending"; "" if nothing is evident."""
    ours, theirs = _parts(one), _parts(other)
    differs = {
        "folder": ours.folder != theirs.folder,
        "ending": ours.ending.lower() != theirs.ending.lower(),
        "case": _differ_in_case(ours.stem, theirs.stem)
        or (ours.ending != theirs.ending and ours.ending.lower() == theirs.ending.lower()),
        "leading zeros": _has_zeros(ours.stem, theirs.stem),
    }
    names = [name for name, is_so in differs.items() if is_so]
    return f"in {' and '.join(names)}" if names else ""


def unlike_in_words(of_one: str, one: str, of_other: str, other: str) -> str:
    """Returns a key of each side, and in which parts they differ if that is evident.

    Args:
      of_one: whose key it is, such as "the dataset's".
      one: one of its keys.
      of_other: whose key the other is.
      other: one of its keys.
    """
    how = unlike_keys(one, other)
    words = f"{of_one} are like '{one_line(one)}', {of_other} like '{one_line(other)}'"
    return f"{words}, which differs {how}" if how else words


def _parts(key: str) -> _Parts:
    folder, name = posixpath.split(key)
    match = _ENDING.search(name)
    ending = match[0] if match and match.start() else ""
    return _Parts(folder, name.removesuffix(ending), ending)


def _differ_in_case(one: str, other: str) -> bool:
    """Returns whether two parts differ in nothing else, or one is all in capitals and the other has none."""
    if one.casefold() == other.casefold():
        return one != other
    return (one.isupper() and other.islower()) or (one.islower() and other.isupper())


def _has_zeros(one: str, other: str) -> bool:
    """Returns whether one of two numbers is written with zeros before it, and the other one is not."""
    if not (one.isdecimal() and other.isdecimal()):
        return False
    return len(one) != len(other) and "0" in (one[0], other[0])
