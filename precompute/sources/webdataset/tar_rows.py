"""A row from a sample in a tar.

Promises: whatever is wrong with a sample is raised when its image is read, so that its own row fails, in words that say
what is there and what to do.
"""

from __future__ import annotations

import functools
from typing import Any, NoReturn

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.source import Example, SourceColumns
from lit_precompute.precompute.sources.webdataset.tar_members import Member, shown
from lit_precompute.precompute.sources.webdataset.tar_samples import Sample, SampleRule, is_compound_image
from lit_precompute.precompute.sources.webdataset.tar_words import SharedFile, Words, read_words


def sample_key(path: str, name: str) -> str:
    """Returns the key of a sample: the tar's name, without folder and .tar, then the sample's name."""
    return f"{path.rpartition('/')[2].removesuffix('.tar')}/{name}"


def make_example(
    sample: Sample, file: SharedFile, rule: SampleRule, columns: SourceColumns, *, has_labels: bool
) -> Example:
    """Returns a sample's row; its image is read on request.

    Args:
      sample: of the tar, with its links followed.
      file: the tar.
      rule: which member is the image.
      columns: the keys in the JSON.
      has_labels: whether labels are kept.
    """
    images = rule.images_of(sample)
    image = images[0] if images else None
    words = Words()
    try:
        if not sample.cut_off:
            words = read_words(sample.parts, file, columns)
        if image is None:
            raise ImageError("missing", _why_no_image(sample, rule))
        read_image = functools.partial(file.read, image)
    except ImageError as error:
        read_image = functools.partial(_fail, error.reason, error.message)
    label, notes = words.label, words.notes
    if label and not has_labels:
        label, notes = "", (*notes, "label, which no sample had where planning looked, left out")
    if len(images) > 1:
        notes = (*notes, "another image in the sample, left out")
    return Example(
        key=sample_key(file.path, sample.name),
        source=f"{file.path}:{shown(image.name if image else sample.name)}",
        read_image=read_image,
        texts=words.texts,
        label=label,
        notes=notes,
    )


def cut_in_words(member: Member, rule: SampleRule) -> str:
    """Returns how webdataset's rule cuts a name that contains dots, and what to do."""
    split = rule.split(member.name)
    assert not isinstance(split, str), "belongs to a sample"
    name, suffix = map(shown, split)
    return (
        f"{shown(member.name)} is cut at its first dot, as webdataset does, into the sample {name!r} and the suffix "
        f"{suffix!r}, which is no image's: give --sample-name last-dot if the dots are part of the names, or choose "
        "images by their suffix with --image-column"
    )


def _fail(reason: Any, message: str, max_bytes: int | None = None) -> NoReturn:
    raise ImageError(reason, message)


def _why_no_image(sample: Sample, rule: SampleRule) -> str:
    if sample.cut_off:
        return cut_in_words(next(iter(sample.parts.values())), rule)
    what = f"no member {rule.image}" if rule.image else "no image"
    hint = "; --image-column chooses one" if any(map(is_compound_image, sample.parts)) and not rule.image else ""
    there_are = ", ".join(shown(suffix) or repr(suffix) for suffix in sorted(sample.parts))
    return f"{what} in the sample, only {there_are}{hint}"
