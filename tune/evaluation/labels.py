"""Labels: which class each image belongs to.

Promises: a label is the exact name of a class (the whole name or its first alias), or a whole number that counts the
classes from 0. Names are compared in Unicode's NFC, without white space around them. Blank labels and -1, the usual
mark of hidden labels, mean no class. `3.0` is 3 where all labels of the dataset are such numbers. Anything else is an
error that names the label and its row, and so is a number that could be either a name or a position.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow.compute as pc

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import blocks_of
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.texts import is_blank
from lit_precompute.tune.evaluation.prompts import canonical, class_name

NO_CLASS = -1
_NO_LABEL = ("", "-1")
# At most 18 digits: Python refuses to parse thousands of them.
_NUMBER = re.compile(r"(-1|0|[1-9][0-9]{0,17})(\.0+)?")


class LabelError(ValueError):
    """A label names no class, or a class cannot have its name; the message gives the place, the rule and the value."""


def distinct_labels(dataset: EmbeddingDataset, selection: Selection | None = None) -> list[str]:
    """Returns the distinct labels of the dataset, or of selected rows, as names of classes, sorted.

    Raises:
      LabelError: the dataset has no labels, or one of them is a number or has no letters to ask for in a prompt.
    """
    labels: set[str] = set()
    for label, row in _distinct(dataset, selection):
        text = _clean(label)
        if text in _NO_LABEL:
            continue
        if _is_number(text) or not class_name(text):
            what = "is a number" if class_name(text) else "is only punctuation"
            raise LabelError(
                f"{_place(dataset, row)}: the label {label!r} {what}, which a prompt cannot ask for; give --classes, a "
                "file of the classes' names in the order of their numbers"
            )
        labels.add(text)
    if not labels:
        raise LabelError(f"{dataset.path}: no row has a label, so there are no classes; give --classes")
    return sorted(labels)


def check_classes(classes: Sequence[str]) -> None:
    """Raises LabelError if there is no class, or the name of one means "no label" or is only punctuation."""
    if not classes:
        raise LabelError("there must be at least one class, got none")
    for number, name in enumerate(classes):
        if _clean(name) in _NO_LABEL:
            raise LabelError(
                f"class {number} is named {name!r}, which marks images without a label; give its real name"
            )
        if not class_name(name):
            raise LabelError(
                f"class {number} is named {name!r}: its first alias must not be only punctuation, which prompts lack"
            )


def class_numbers(
    dataset: EmbeddingDataset, classes: Sequence[str], selection: Selection | None = None
) -> dict[str, int]:
    """Returns the number of each label's class, by the label as stored; `NO_CLASS` for none. Reads no embeddings.

    Only labels of selected rows are there, and checked; None: of all rows.

    Raises:
      LabelError: the dataset has no labels, or a label is not that of a class.
    """
    names = _numbers_by_name(classes)
    rows: dict[str, int] = {}
    for label, row in _distinct(dataset, selection):
        # Refused here, so that memory follows the classes where a column of other values was taken for labels.
        if not _can_be_read(_clean(label), names, len(classes)):
            raise LabelError(f"{_place(dataset, row)}: {_unknown(label, classes)}")
        rows[label] = row
    named: dict[str, int] = {}
    counted: dict[str, int] = {}
    for label, text in _without_points(rows, names).items():
        number = names.get(_clean(label), names.get(text))
        if number is not None:
            named[label] = number
        elif text in _NO_LABEL:
            named[label] = NO_CLASS
        elif text.isdecimal():
            counted[label] = int(text)
        else:
            raise LabelError(
                f"{_place(dataset, rows[label])}: the label {label!r} is not the name of a class, and is read as a "
                "whole number only where all labels are whole numbers"
            )
    if counted:
        _check_one_reading(dataset, named, next(iter(counted)), rows)
    return named | counted


def _clean(text: str) -> str:
    """Returns a label or a name as it is compared; "" if it shows nothing, as a caption may (tune/data/texts.py)."""
    return "" if is_blank(text) else unicodedata.normalize("NFC", text).strip()


def _numbers_by_name(classes: Sequence[str]) -> dict[str, int]:
    """Returns the first class of each name; whole names come before first aliases."""
    aliases = [_clean(name.split(",", maxsplit=1)[0]) for name in classes]
    numbers: dict[str, int] = {}
    for names in ([_clean(name) for name in classes], aliases):
        for number, name in enumerate(names):
            numbers.setdefault(name, number)
    return numbers


def _can_be_read(text: str, names: Mapping[str, int], num_classes: int) -> bool:
    number = _NUMBER.fullmatch(text)
    return text in names or not text or bool(number and (number[1] in names or int(number[1]) < num_classes))


def _without_points(labels: Iterable[str], names: Mapping[str, int]) -> dict[str, str]:
    """Returns the labels' texts: with `3.0` as `3` if they all are such numbers, and not all are names."""
    texts = {label: _clean(label) for label in labels}
    used = set(texts.values())
    if used <= {*names, *_NO_LABEL} or not all(not text or _NUMBER.fullmatch(text) for text in used):
        return texts
    return {label: text.partition(".")[0] for label, text in texts.items()}


def _check_one_reading(
    dataset: EmbeddingDataset, named: Mapping[str, int], counting: str, rows: Mapping[str, int]
) -> None:
    """Raises LabelError if a number is the name of a class that is not at that position; `counting` is no name."""
    for label, number in named.items():
        found = _NUMBER.fullmatch(_clean(label))
        if found and int(found[1]) != number:
            raise LabelError(
                f"{_place(dataset, rows[label])}: the label {label!r} is the name of class {number}, but {counting!r} "
                f"in row {rows[counting]} is no name, only a position: labels must be all names or all positions"
            )


def _is_number(text: str) -> bool:
    """Returns whether a label, or all that a prompt would contain of it, is a number (nan, too)."""
    if all(letter.isdigit() or letter.isspace() for letter in class_name(text)):
        return True
    try:
        return abs(float(text)) != float("inf")
    except ValueError:
        return False


def _distinct(dataset: EmbeddingDataset, selection: Selection | None) -> Iterator[tuple[str, int]]:
    """Yields each label when it first occurs, and its row."""
    if "labels" not in dataset.tables:
        raise LabelError(
            f"{dataset.path}: has no table 'labels'; embed a source with a column of labels (--label-column)"
        )
    seen: set[str] = set()
    for rows, block in blocks_of(dataset, ["label"], selection):
        for label in pc.call_function("unique", [block["label"]]).to_pylist():
            if label not in seen:
                seen.add(label)
                yield label, int(rows[block["label"].index(label).as_py()])


def _place(dataset: EmbeddingDataset, row: int) -> str:
    key = dataset.rows(row, row + 1, ["key"])["key"][0].as_py()
    return f"{dataset.path}, row {row} ({key!r})"


def _unknown(label: str, classes: Sequence[str]) -> str:
    """Returns the error for a label that is not one of the classes, with the class that is probably meant."""
    count = len(classes)
    words = f"the label {label!r} is neither the name of one of the {count} classes nor a whole number below {count}"
    near = next((number for number, name in enumerate(classes) if _loosely(name) == _loosely(label)), None)
    if near is not None:
        return f"{words}; class {near} is {classes[near]!r}: labels must be spelled like the names"
    return f"{words} (the first class is 0); give the right --classes"


def _loosely(name: str) -> str:
    return canonical(unicodedata.normalize("NFKC", name).casefold().split(",", maxsplit=1)[0].replace("-", " "))
