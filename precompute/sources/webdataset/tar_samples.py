"""Samples in a tar file: which members belong together, and which of them is the image.

Names are grouped by webdataset's rule: a sample's name is the member's path up to the first dot of the file name; the
rest, in lower case, is the member's suffix; members of a sample are consecutive. Names without a dot, hidden files and
webdataset's own "__name__" members belong to no sample. Source: github.com/webdataset/webdataset, tariterators.py.
Where names contain dots, "last-dot" cuts at the last one instead.

Promises: every member that belongs to no sample is reported; an image that the first dot cuts off from its own name is
a sample of its own, without an image, so that it is counted.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import get_args

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SampleName, SourceColumns
from lit_precompute.precompute.sources.webdataset.tar_links import is_own_link
from lit_precompute.precompute.sources.webdataset.tar_members import Member

# Where a sample has several images, the first of these is taken. The last two are webdataset's own names for JPEG.
IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "img", "image")

_CUTS: dict[SampleName, re.Pattern[str]] = {
    "first-dot": re.compile(r"((?:.*/|)[^./]+)[.]([^/]*)", re.DOTALL),
    "last-dot": re.compile(r"((?:.*/|)[^./][^/]*)[.]([^./]*)", re.DOTALL),
}
# "left" and "depth.v2" are kinds of members; "0 front" and "5" are the ends of names.
_KIND = re.compile(r"[^\W\d][\w-]*([.][^\W\d][\w-]*)*")
_META = re.compile(r"__[^.]*__[.]")

Skipped = Callable[[str, Member], None]
"""Called with why a member belongs to no sample, and the member."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Consecutive members of one name.

    Attributes:
      name: what they share; of an image that was cut off from its name, the whole name.
      start: the byte where the first member's header begins; samples that are mixed up with each other share it.
      stop: the byte where the header after the last one begins.
      parts: the members by suffix.
      cut_off: whether this is an image that was cut off from its name.
    """

    name: str
    start: int
    stop: int
    parts: dict[str, Member]
    cut_off: bool = False


@dataclasses.dataclass(frozen=True)
class SampleRule:
    """How members become samples.

    Attributes:
      cut: where names are cut.
      image: the suffix of the image; "" for the first of `IMAGE_SUFFIXES`.
    """

    cut: SampleName = "first-dot"
    image: str = ""

    def __post_init__(self):
        if self.cut not in get_args(SampleName):
            raise SourceError(f"sample_name must be one of {list(get_args(SampleName))}, got {self.cut!r}")

    @classmethod
    def of(cls, columns: SourceColumns, cut: SampleName) -> SampleRule:
        """Returns the rule for the image's column, which means a suffix here, such as "left.png"."""
        return cls(cut, "" if columns.is_default("image") else columns.image.lower().removeprefix("."))

    def image_of(self, sample: Sample) -> Member | None:
        """Returns the member that is the sample's image, if any."""
        return next(iter(self.images_of(sample)), None)

    def images_of(self, sample: Sample) -> list[Member]:
        """Returns the members that could be the sample's image; the first of them is."""
        suffixes = (self.image,) if self.image else IMAGE_SUFFIXES
        return [] if sample.cut_off else [sample.parts[suffix] for suffix in suffixes if suffix in sample.parts]

    @property
    def image_suffixes(self) -> frozenset[str]:
        """The suffixes of members that could be images."""
        return frozenset((self.image,) if self.image else IMAGE_SUFFIXES)

    def is_any_of(self, suffixes: Collection[str], member: Member) -> bool:
        """Returns whether a member belongs to a sample and has one of the suffixes."""
        split = self.split_member(member)
        return not isinstance(split, str) and split[1] in suffixes

    def split_member(self, member: Member) -> tuple[str, str] | str:
        """Returns a member's sample and suffix, or why it belongs to none."""
        if member.kind == "other":
            return "device, pipe or other special member, left out"
        return "second copy of a file, left out" if is_own_link(member) else self.split(member.name)

    def split(self, name: str) -> tuple[str, str] | str:
        """Returns the sample and the suffix of a name, or why it belongs to none."""
        file_name = name.rpartition("/")[2]
        if file_name.startswith("."):
            return "hidden file, left out"
        if "." not in file_name:
            return "no dot in a member's name, left out"
        if file_name.startswith("__") and _META.match(file_name):
            return "__name__ member, left out"
        match = _CUTS[self.cut].fullmatch(name)
        assert match, name
        return match[1].removeprefix("./"), match[2].lower()


def read_samples(
    members: Iterable[Member],
    path: str,
    rule: SampleRule,
    *,
    skipped: Skipped = lambda why, member: None,
) -> Iterator[Sample]:
    """Yields the samples that consecutive members of a tar form.

    Raises:
      SourceError: a sample has two members of one suffix.
    """
    group, group_start, group_stop, parts = "", 0, 0, {}
    for member in members:
        split = rule.split_member(member)
        if isinstance(split, str):
            skipped(split, member)
            continue
        name, suffix = split
        if name != group or not parts:
            yield from _separated(Sample(group, group_start, group_stop, parts), rule)
            group, group_start, parts = name, member.start, {}
        group_stop = member.stop
        same = parts.get(suffix)
        if same is not None and not (same.is_link or member.is_link):
            raise SourceError(
                f"{path}, byte {member.start}: sample {name!r} has two members {suffix!r}; rename one of them"
            )
        if same is not None:
            skipped("link with the name of a file, left out", same if same.is_link else member)
        if same is None or same.is_link:
            parts[suffix] = member
    yield from _separated(Sample(group, group_start, group_stop, parts), rule)


def _separated(group: Sample, rule: SampleRule) -> Iterator[Sample]:
    """Yields a group of members, and apart from it the images that are only in it because their names were cut.

    Those are: where no suffix is a single word, all images, since each has a name of its own; else the images whose
    suffix reads like the end of a name. Who says which member is the image knows the suffixes: then there are none.
    """
    if not any("." in suffix for suffix in group.parts):
        if group.parts:
            yield group
        return
    has_words = any("." not in suffix for suffix in group.parts)
    lost = [
        suffix
        for suffix in group.parts
        if not rule.image
        and is_compound_image(suffix)
        and not (has_words and _KIND.fullmatch(suffix.rpartition(".")[0]))
    ]
    if not lost or rule.image_of(group) is not None:
        yield group
    for suffix in lost:
        member = group.parts[suffix]
        name = member.name.removeprefix("./")
        yield dataclasses.replace(group, name=name, parts={suffix: member}, cut_off=True)


def is_compound_image(suffix: str) -> bool:
    """Returns whether a suffix of several words ends like an image's: "left.png", "0 front.jpg"."""
    stem, _, last = suffix.rpartition(".")
    return bool(stem) and last in IMAGE_SUFFIXES
