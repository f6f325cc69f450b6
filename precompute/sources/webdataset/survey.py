"""What the looks into all tars have in common: whether they can be embedded, and whether there are labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lit_precompute.precompute.sources.source import FileLook, SourceError, Survey, source_tables
from lit_precompute.precompute.sources.webdataset.tar_rows import cut_in_words
from lit_precompute.precompute.sources.webdataset.tar_samples import IMAGE_SUFFIXES
from lit_precompute.precompute.sources.webdataset.tar_scan import Sought
from lit_precompute.schemas.wording import counted

# Names that a message lists.
_MAX_LISTED = 12


def survey_tars(path: str, looks: Sequence[FileLook], sought: Sought) -> Survey:
    """Returns what all tars have in common.

    Args:
      path: of the source.
      looks: into all tars.
      sought: what was looked for.

    Raises:
      SourceError: nothing can be embedded, or no tar has a name that the user gave.
    """
    findings = [look.findings for look in looks]
    suffixes = _listed(suffix for found in findings for suffix in found["suffixes"])
    where = _where(looks)
    if not any(found["has_samples"] for found in findings):
        tars = counted(len(looks), "tar")
        raise SourceError(f"{path}: no samples in {tars}{where}; members must be named like 0001.jpg, 0001.txt")
    if not any(found["has_images"] for found in findings):
        compound = next((found["compound"] for found in findings if found["compound"]), "")
        raise SourceError(f"{path}: {_no_image(sought, where, suffixes, compound)}")
    if lacking := sought.keys.difference(*(found["found"] for found in findings)):
        keys = _listed(sorted({key for found in findings for key in found["json_keys"]}))
        is_named = min(lacking) in sought.columns.named_columns.values()
        nor = ", nor is it a member's suffix" if is_named else ""
        raise SourceError(
            f"{path}: no sample's JSON has {min(lacking)!r}{nor}{where}; {keys}; .txt and .cls need no option"
        )
    has_labels = any(found["has_labels"] for found in findings)
    tables = source_tables(has_labels=has_labels, named=tuple(sought.columns.named_columns))
    return Survey(tables=tables, extent=counted(len(looks), "tar"))


def _where(looks: Sequence[FileLook]) -> str:
    """Returns where was looked, if not everywhere."""
    num_parts = sum(not look.findings["is_whole"] for look in looks)
    return f" (of {counted(num_parts, 'tar')} only the beginning was looked into)" if num_parts else ""


def _no_image(sought: Sought, where: str, suffixes: str, compound: str) -> str:
    if sought.rule.image:
        return f"no sample has a member {sought.rule.image!r}{where}, the image that was asked for; {suffixes}"
    usual = f"no sample has an image{where}, that is, a member named .{', .'.join(IMAGE_SUFFIXES)}; {suffixes}"
    if compound:
        return f"{usual}; {cut_in_words(compound, sought.rule)}"
    return f"{usual}; --image-column npy takes arrays" if "'npy'" in suffixes else usual


def _listed(names: Iterable[str]) -> str:
    """Returns the first of some names, each once."""
    unique = list(dict.fromkeys(names))
    more = ", ..." if len(unique) > _MAX_LISTED else ""
    return f"there are {', '.join(unique[:_MAX_LISTED]) or 'none'}{more}"
