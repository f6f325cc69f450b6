"""Int8 with a scale per row: its error, its extremes, and what is refused."""

from fractions import Fraction

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as arrays

from lit_precompute.schemas import DatasetError, DatasetWriter, EmbeddingDataset, captions_table
from lit_precompute.schemas.vectors import (
    SMALLEST_SCALE,
    VECTOR_TYPES,
    dequantise,
    quantise,
    storable,
    store,
    why_not_storable,
)
from tests.schemas.making import SOURCE, card, rows, write

# 127 times a scale may round above the largest float32: such rows are refused.
LARGEST = float(np.float32(np.finfo(np.float32).max * (1 - 1e-6)))
numbers_of_any_size = strategies.floats(-LARGEST, LARGEST, width=32, allow_subnormal=True) | strategies.floats(
    -1, 1, width=32
)
row_arrays = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2), elements=numbers_of_any_size)


@hypothesis.given(row_arrays)
@hypothesis.settings(max_examples=300)
def test_off_by_half_a_scale_at_most(vectors):
    numbers, scales = quantise(vectors)
    assert (numbers.dtype, scales.dtype) == (np.int8, np.float32)
    assert numbers.min() >= -127
    for row, vector in enumerate(vectors):
        scale = Fraction(float(scales[row]))
        for number, value in zip(numbers[row].tolist(), vector.tolist(), strict=True):
            # In exact arithmetic. The quotient's last bit may round a half the other way: 2**-24 of at most 127.
            assert abs(number * scale - Fraction(value)) <= scale / 2 * (1 + Fraction(127, 2**22))


@hypothesis.given(row_arrays)
@hypothesis.settings(max_examples=100)
def test_reading_back_is_finite_and_keeps_signs_and_zeros(vectors):
    back = dequantise(*quantise(vectors))
    assert np.isfinite(back).all()
    assert (back[vectors == 0] == 0).all()
    assert ((back == 0) | (np.sign(back) == np.sign(vectors))).all()


def test_halves_go_to_even_and_the_largest_to_127():
    numbers, scales = quantise(np.array([[127, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5]], np.float32))
    assert numbers.tolist() == [[127, 0, 2, 2, 0, -2, -126]]
    assert scales.tolist() == [1.0]


@pytest.mark.parametrize(
    ("row", "expected_numbers", "expected_scale"),
    [
        ([0, 0, 0], [0, 0, 0], SMALLEST_SCALE),
        ([1e-45, -1e-45, 0], [0, 0, 0], SMALLEST_SCALE),  # far below the smallest scale: reads as zero
        ([2**-126, -(2**-125), 0], [1, -2, 0], SMALLEST_SCALE),
        ([1e38, -1e38, 5e37], [127, -127, 64], np.float32(1e38) / np.float32(127)),
        ([1e-30, 1, 0], [0, 127, 0], np.float32(1) / np.float32(127)),
    ],
)
def test_zeros_huge_and_tiny_values(row, expected_numbers, expected_scale):
    numbers, scales = quantise(np.array([row], np.float32))
    assert numbers.tolist() == [expected_numbers]
    assert scales[0] == expected_scale


def test_a_dataset_gives_embeddings_as_stored_and_as_float32(tmp_path):
    write(tmp_path, vector_type="int8")
    exact = rows(50)[1]
    with EmbeddingDataset.open(tmp_path) as dataset:
        assert dataset.columns == ["key", "embedding", "embedding_scale", "label", "texts"]
        block = dataset.rows(0, 50, ["embedding"])
        assert list(block.columns) == ["embedding", "embedding_scale"]
        one = dataset.read_block(1, ["embedding"])
        assert not one["embedding"].flags.owndata and not one["embedding_scale"].flags.owndata  # views of what was read
        np.testing.assert_array_equal(dataset.take([7, 33], ["embedding"]).vectors(), block.vectors()[[7, 33]])
        np.testing.assert_array_equal(block.slice(3, 9).vectors(), block.vectors()[3:9])
        assert dataset.row(4)["embedding"].dtype == np.int8
    assert block["embedding"].dtype == np.int8
    # Independently, in float64.
    scales = np.abs(exact.astype(np.float64)).max(axis=1, keepdims=True) / 127
    np.testing.assert_allclose(block["embedding_scale"], scales[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(block["embedding"], np.rint(exact / scales))
    np.testing.assert_allclose(block.vectors(), block["embedding"] * scales, rtol=1e-6)
    assert block.vectors().dtype == np.float32


def test_int8_takes_a_byte_per_number_and_four_per_row():
    stored = store(np.ones((10, 1280), np.float32), "int8")
    assert stored.numbers.nbytes + stored.scales.nbytes == 10 * 1284
    assert len(stored.row_bytes(3)) == 1284


def test_float64_is_stored_as_its_float32_is():
    """The manifest's float32 probes must give the stored bytes: no value may skip float32."""
    halfway = np.float64(1) + 2.0**-11 + 2.0**-40  # rounds up to float16, but is a tie as float32, and then rounds down
    assert np.float16(halfway) != np.float16(np.float32(halfway))
    assert store(np.full((1, 3), halfway), "float16").numbers.tolist() == [[1.0] * 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, np.finfo(np.float32).max])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    keys, vectors, texts, _ = rows(10)
    vectors = vectors.astype(np.float64)
    vectors[4, 2] = value
    with (
        pytest.raises(DatasetError, match=r"row 'image-0004': embedding\[2\] = .* is not a finite int8"),
        DatasetWriter(tmp_path, tower=card(), source=SOURCE, tables=[captions_table()], vector_type="int8") as writer,
    ):
        writer.write(keys=keys, embeddings=vectors, columns={"captions": {"texts": texts}})


# The largest value of each type by its definition, and the smallest that rounds to infinity (a tie goes to even).
MOST = {
    "float32": (float(np.finfo(np.float32).max), np.inf),
    "float16": (np.nextafter(np.float32(65520), np.float32(0)), 65520),
    "bfloat16": (np.nextafter(np.float32((2 - 2**-8) * 2.0**127), np.float32(0)), (2 - 2**-8) * 2.0**127),
    "int8": (3.4e38, float(np.finfo(np.float32).max)),  # the scale is rounded: 127 times it may overflow
}


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_a_row_can_be_stored_if_reading_it_back_is_finite(vector_type):
    most, too_large = MOST[vector_type]
    values = [0, most, -most, too_large, -too_large, np.inf, -np.inf, np.nan]
    vectors = np.full((len(values), 5), 0.5, np.float32)
    vectors[:, 3] = values
    assert storable(vectors, vector_type).tolist() == [True] * 3 + [False] * 5
    assert storable(vectors[:0], vector_type).shape == (0,)
    with np.errstate(all="ignore"):
        back = store(vectors, vector_type).to_float32()
    assert np.isfinite(back[:3]).all()


@hypothesis.given(
    arrays.arrays(np.float32, (3, 4), elements=strategies.floats(width=32)), strategies.sampled_from(VECTOR_TYPES)
)
@hypothesis.settings(max_examples=300)
def test_storable_matches_storing_every_number(vectors, vector_type):
    with np.errstate(all="ignore"):
        finite = np.isfinite(store(vectors, vector_type).to_float32()) & np.isfinite(vectors)
    assert storable(vectors, vector_type).tolist() == finite.all(axis=1).tolist()


@pytest.mark.parametrize(
    ("vector", "vector_type", "words"),
    [
        ([1, np.nan, -3, np.inf], "float16", "2 of 4 numbers are NaN or infinite; the largest finite one is 3"),
        ([np.nan], "float32", "1 of 1 numbers are NaN or infinite; none is finite"),
        (
            [1e5, -2e5],
            "float16",
            "the largest finite one is 200000, too large for float16; these types hold it: float32, bfloat16, int8",
        ),
        (
            [3.402e38],
            "bfloat16",
            "the largest finite one is 3.402e+38, too large for bfloat16; these types hold it: float32, int8",
        ),
        ([1e300], "float16", "the largest finite one is 1e+300, too large for float16; no type holds it"),
    ],
)
def test_what_cannot_be_stored_is_explained(vector, vector_type, words):
    assert why_not_storable(vector, vector_type) == words


def test_int8_without_its_scales_is_refused(tmp_path):
    write(tmp_path, vector_type="int8")
    with EmbeddingDataset.open(tmp_path) as dataset:
        block = dataset.read_block(0)
    alone = type(block)(0, block.num_rows, {"embedding": block["embedding"]})
    with pytest.raises(DatasetError, match="int8 vectors 'embedding' need their scales, 'embedding_scale': read both"):
        alone.vectors()
    with pytest.raises(DatasetError, match="column 'texts' is not a vector column"):
        block.vectors("texts")
