"""Labels: exact names, positions, marks of hidden labels; all else is refused with the label and its row."""

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.evaluation.labels import LabelError, check_classes, class_numbers, distinct_labels
from tests.tune.evaluation.making import write_rows

ANIMALS = ["tench, Tinca tinca", "great white shark", "crane, bird", "crane, machine", "Axolotl"]
LANGUAGES = ["C", "C#", "C++"]
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture
def dataset_of(tmp_path):
    """Returns a function that opens a dataset with these labels."""
    opened = []

    def make(*labels: str) -> EmbeddingDataset:
        path = write_rows(tmp_path / f"d{len(opened)}", np.ones((len(labels), 2)), [[]] * len(labels), list(labels))
        opened.append(EmbeddingDataset.open(path))
        return opened[-1]

    return make


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        # The whole name, or the first alias; of classes that share one, the first.
        (ANIMALS, {"tench, Tinca tinca": 0, "tench": 0, "crane": 2, "crane, machine": 3, " great white shark\t": 1}),
        (LANGUAGES, {"C": 0, "C#": 1, "C++": 2}),
        (["cafe\u0301"], {"caf\u00e9": 0, "cafe\u0301": 0}),
        # Positions, and marks of hidden labels.
        (ANIMALS, {"0": 0, "4": 4, "-1": -1, "": -1, "   ": -1, "\u200b": -1, "\0": -1, "\ufeff ": -1}),
        (ANIMALS, {"Axolotl": 4, "-1": -1, "1": 1}),
        (ANIMALS, {"3.0": 3, "-1.0": -1, "0.0": 0, "4": 4, "": -1}),
        # Numbers that are names.
        (DIGITS, {"3": 3, "9": 9}),
        (["7", "5", "3"], {"3": 2, "7": 0}),
        (["7", "5", "3"], {"3.0": 2, "7.0": 0, "-1.0": -1}),
        (["2.7", "3.0", "4.0"], {"3.0": 1, "4.0": 2}),
        (["zero", "1", "two"], {"0": 0, "1": 1}),
        (["missile", "sunglasses", "missile"], {"missile": 0, "1": 1, "2": 2}),
    ],
)
def test_a_label_is_an_exact_name_or_a_position(dataset_of, classes, expected):
    assert class_numbers(dataset_of(*expected, *expected), classes) == expected


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (ANIMALS, ["1", "#1"], "row 1 ('row-1'): the label '#1' is neither the name of one of the 5 classes"),
        (ANIMALS, ["5"], "the label '5' is neither the name of one of the 5 classes nor a whole number below 5"),
        (ANIMALS, ["0.0", "5.0"], "row 1 ('row-1'): the label '5.0' is neither"),
        (ANIMALS, ["-2"], "the label '-2' is neither"),
        (ANIMALS, ["0.93"], "the label '0.93' is neither"),
        (ANIMALS, ["03"], "the label '03' is neither"),
        (ANIMALS, ["1_0"], "the label '1_0' is neither"),
        (ANIMALS, ["٣"], "the label '٣' is neither"),
        (ANIMALS, ["9" * 5_000], "is neither the name"),
        (ANIMALS, ["nan"], "the label 'nan' is neither"),
        (ANIMALS, ["Tinca tinca"], "the label 'Tinca tinca' is neither"),
        (
            LANGUAGES,
            ["c"],
            "the label 'c' is neither the name of one of the 3 classes nor a whole number below 3; class 0",
        ),
        (ANIMALS, ["great_white_shark"], "class 1 is 'great white shark': labels must be spelled like the names"),
        (ANIMALS, ["axolotl"], "class 4 is 'Axolotl': labels must be spelled like the names"),
        (ANIMALS, ["Axolotl, Mexican"], "class 4 is 'Axolotl'"),
        (ANIMALS, ["Axolotl\u200b"], r"the label 'Axolotl\u200b' is neither"),
        (
            ANIMALS,
            ["tench", "3.0"],
            "row 1 ('row-1'): the label '3.0' is not the name of a class, and is read as a whole",
        ),
        (["1", "2", "3"], ["0", "1"], "the label '1' is the name of class 0, but '0' in row 0 is no name"),
        (["2.7", "3.0", "4.0", "5.0"], ["3.0", "2.0"], "the label '3.0' is the name of class 1, but '2.0' in row 1"),
    ],
)
def test_anything_else_is_refused_with_the_label_and_its_row(dataset_of, classes, labels, message):
    with pytest.raises(LabelError) as caught:
        class_numbers(dataset_of(*labels), classes)
    assert message in str(caught.value)


def test_distinct_labels_are_sorted_names(dataset_of):
    assert distinct_labels(dataset_of("b", "", "a", "-1", "C++", " b ", "C#")) == ["C#", "C++", "a", "b"]


@pytest.mark.parametrize("label", ["0", "3.0", "-2", "-1.0", "1e3", "#0", "7, seven", "٣", "1 000", "nan"])
def test_numbers_become_no_prompts(dataset_of, label):
    with pytest.raises(LabelError) as caught:
        distinct_labels(dataset_of("cat", label))
    assert f"row 1 ('row-1'): the label {label!r} is a number, which a prompt cannot ask for; give --classes" in str(
        caught.value
    )


@pytest.mark.parametrize("label", ["7-eleven", "1984 (novel)", "n01440764", "infinity", "☂", "二羽"])
def test_names_with_digits_are_names(dataset_of, label):
    assert distinct_labels(dataset_of(label)) == [label]


def test_labels_without_names_are_refused(dataset_of, tmp_path):
    with pytest.raises(LabelError, match=r"the label '\?!' is only punctuation, which a prompt cannot ask for"):
        distinct_labels(dataset_of("?!"))
    with pytest.raises(LabelError, match="no row has a label, so there are no classes; give --classes"):
        distinct_labels(dataset_of("-1", ""))
    path = write_rows(tmp_path / "none", np.ones((1, 2)), [[]])
    for read in (distinct_labels, lambda dataset: class_numbers(dataset, ANIMALS)):
        with EmbeddingDataset.open(path) as dataset, pytest.raises(LabelError, match="has no table 'labels'"):
            read(dataset)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "there must be at least one class, got none"),
        (["cat", "-1"], "class 1 is named '-1', which marks images without a label"),
        (["cat", " "], "class 1 is named ' ', which marks images without a label"),
        (["++, C++"], r"class 0 is named '\+\+, C\+\+': its first alias must not be only punctuation"),
    ],
)
def test_impossible_classes_are_refused(classes, message):
    with pytest.raises(LabelError, match=message):
        check_classes(classes)
