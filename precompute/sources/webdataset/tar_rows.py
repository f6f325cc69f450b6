"""A row from a sample in a tar.

Promises: whatever is wrong with a sample is raised when its image is read, so that its own row fails, in words that say
what is there and what to do.
"""

from __future__ import annotations

import functools
from typing import Any, NoReturn

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.source import Example, SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.values import Words
from lit_precompute.precompute.sources.webdataset.format import TAR_ENDINGS
from lit_precompute.precompute.sources.webdataset.member_files import MemberFile
from lit_precompute.precompute.sources.webdataset.tar_members import shown
from lit_precompute.precompute.sources.webdataset.tar_samples import Sample, SampleRule, is_compound_image
from lit_precompute.precompute.sources.webdataset.tar_words import read_words
from lit_precompute.schemas.wording import counted


def key_prefix(path: str, key_folders: int) -> str:
    """Returns what the keys of a tar's samples begin with: its last folders, if asked for, and its name without .tar.

    Raises:
      SourceError: the path has fewer folders.
    """
    folders = [part for part in path.rpartition("://")[2].split("/")[:-1] if part not in ("", ".")]
    if "://" in path:
        folders = folders[1:]  # without the server or the bucket
    if key_folders > len(folders) or ".." in folders[len(folders) - key_folders :]:
        raise SourceError(
            f"{path}: --key-folders {key_folders} needs {counted(key_folders, 'folder')} in the path of each tar; give "
            "a path with all folders, or set a lower number"
        )
    name = path.rpartition("/")[2]
    ending = next((ending for ending in TAR_ENDINGS if name.lower().endswith(ending)), "")
    return "/".join([*folders[len(folders) - key_folders :], name[: len(name) - len(ending)]])


def make_example(
    sample: Sample, file: MemberFile, prefix: str, rule: SampleRule, columns: SourceColumns, *, has_labels: bool
) -> Example:
    """Returns a sample's row; its image is read on request.

    Args:
      sample: of the tar, with its links followed.
      file: the tar.
      prefix: what the keys of its samples begin with.
      rule: which member is the image.
      columns: the keys in the JSON.
      has_labels: whether labels are kept.
    """
    images = rule.images_of(sample)
    image = images[0] if images else None
    words = Words(named=dict.fromkeys(columns.named_columns, ()))
    try:
        if not sample.cut_off:
            words = read_words(sample.parts, file.read, columns)
        if image is None:
            raise ImageError("missing", _why_no_image(sample, rule))
        read_image = file.reader(image)
    except ImageError as error:
        read_image = functools.partial(_fail, error.reason, error.message)
    label, notes = words.label, words.notes
    if label and not has_labels:
        label, notes = "", (*notes, "label, which no sample had where planning looked, left out")
    if len(images) > 1:
        notes = (*notes, "another image in the sample, left out")
    return Example(
        key=f"{prefix}/{sample.name}",
        source=f"{file.path}:{shown(image.name if image else sample.name)}",
        read_image=read_image,
        texts=words.texts,
        named=words.named,
        label=label,
        notes=notes,
    )


def cut_in_words(member_name: str, rule: SampleRule) -> str:
    """Returns how webdataset's rule cuts a name that contains dots, and what to do."""
    split = rule.split(member_name)
    assert not isinstance(split, str), "belongs to a sample"
    name, suffix = map(shown, split)
    return (
        f"{shown(member_name)} is cut at its first dot, as webdataset does, into the sample {name!r} and the suffix "
        f"{suffix!r}, which is no image's: give --sample-name last-dot if the dots are part of the names, or choose "
        "images by their suffix with --image-column"
    )


def _fail(reason: Any, message: str, max_bytes: int | None = None) -> NoReturn:
    raise ImageError(reason, message)


def _why_no_image(sample: Sample, rule: SampleRule) -> str:
    if sample.cut_off:
        return cut_in_words(next(iter(sample.parts.values())).name, rule)
    what = f"no member {rule.image}" if rule.image else "no image"
    hint = ""
    if not rule.image and any(map(is_compound_image, sample.parts)):
        hint = "; --image-column chooses one"
    elif not rule.image and "npy" in sample.parts:
        hint = "; --image-column npy takes the array"
    there_are = ", ".join(shown(suffix) or repr(suffix) for suffix in sorted(sample.parts))
    return f"{what} in the sample, only {there_are}{hint}"
