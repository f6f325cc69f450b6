import pyarrow as pa
import pytest

from lit_precompute.precompute.sources.columnar.layout import find_layout
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from tests.precompute.sources.columnar.reading import IMAGE

_TEXT = pa.field("text", pa.string())


def _layout(fields, columns: SourceColumns | None = None, features: str | None = None):
    schema = pa.schema(fields, {"huggingface": features} if features else None)
    return find_layout(schema, columns or SourceColumns(), "a.parquet")


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), IMAGE, pa.list_(IMAGE), pa.dictionary(pa.int8(), pa.binary())]
)
def test_the_only_column_of_images_is_found(kind):
    layout = _layout([("url", pa.string()), ("anything", kind), _TEXT])
    assert (layout.image.name, layout.found) == ("anything", "anything")


def test_a_column_of_the_given_name_comes_first():
    fields = [("path", pa.string()), ("jpg", pa.binary()), _TEXT]
    assert (_layout(fields).image.name, _layout(fields).found) == ("path", None)
    assert _layout(fields, SourceColumns(image="jpg")).image.name == "jpg"


def test_hugging_faces_features_tell_images_from_sounds():
    fields = [("sound", IMAGE), ("photo", IMAGE), _TEXT]
    features = '{"info": {"features": {"sound": {"_type": "Audio"}, "photo": {"_type": "Image"}}}}'
    assert _layout(fields, features=features).image.name == "photo"
    with pytest.raises(SourceError, match="several columns can hold images, 'sound' and 'photo'"):
        _layout(fields)


@pytest.mark.parametrize("features", ["{", '{"info": 3}', '{"info": {"features": [1]}}', "[" * 100_000])
def test_damaged_features_are_an_error(features):
    with pytest.raises(SourceError, match=r"a\.parquet: the metadata 'huggingface' of the schema is damaged"):
        _layout([("image", IMAGE), _TEXT], features=features)


def test_no_column_of_images_lists_the_columns_and_names_the_options():
    with pytest.raises(SourceError) as raised:
        _layout([("url", pa.string()), ("caption", pa.list_(pa.string()))])
    assert str(raised.value) == (
        "a.parquet: no column of images; there are 'url' (string), 'caption' (list<item: string>); give the column of "
        "the images, or of their paths, as --image-column, that of the texts as --text-column"
    )


def test_arrays_of_pixels_are_refused():
    pixels = pa.list_(pa.list_(pa.list_(pa.uint8())))
    with pytest.raises(SourceError, match="'image' holds pixels, not encoded images"):
        _layout([("image", pixels), _TEXT])
    with pytest.raises(SourceError, match=r"--image-column 'image' is list.*: pixels, .*; encode them as PNG first"):
        _layout([("image", pixels), _TEXT], SourceColumns(image="image"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (SourceColumns(image="photo"), "no column 'photo'; there are .*; give its name as --image-column"),
        (SourceColumns(text="caption"), "no 'caption' of strings; there are .*; give its name as --text-column"),
        (SourceColumns(text="number"), "column 'number' is int64; it must be a string or a list of strings"),
        (SourceColumns(label="class"), "no column 'class'; .*--label-column"),
        (SourceColumns(label="tags"), "column 'tags' is list<item: string>; it must be a string or a number"),
        (SourceColumns(label="json.tags.id"), "'json.tags.id' is a list of int8; it must be a string or a number"),
        (SourceColumns(key="json"), "column 'json' is struct<.*>; it must be a string or a whole number"),
        (SourceColumns(key="json.nothing"), "no column 'json.nothing'; .*--key-column"),
        (SourceColumns(named=("title=TITLE",)), "no column 'TITLE'; .*--named-text title="),
    ],
)
def test_columns_that_were_named_must_be_usable(columns, message):
    fields = [
        ("image", IMAGE),
        _TEXT,
        ("number", pa.int64()),
        ("tags", pa.list_(pa.string())),
        ("json", pa.struct([("tags", pa.list_(pa.struct([("id", pa.int8())])))])),
    ]
    with pytest.raises(SourceError, match=message):
        _layout(fields, columns)


def test_columns_of_default_names_are_left_out_with_a_note():
    layout = _layout([("image", IMAGE), _TEXT, ("label", pa.list_(pa.int64()))])
    assert layout.label is None
    assert layout.notes == ("'label' is list<item: int64>, not a string or a number, left out",)
    with pytest.raises(SourceError, match=r"no 'text' of strings; there are .*'text' \(int64\)"):
        _layout([("image", IMAGE), ("text", pa.int64())])


def test_a_name_with_dots_is_a_column_before_it_is_a_field():
    struct = pa.struct([("caption", pa.string()), ("a.b", pa.string())])
    fields = [("image", IMAGE), ("json", struct), ("json.caption", pa.large_string())]
    assert _layout(fields, SourceColumns(text="json.caption")).texts[0].type == pa.large_string()
    (column,) = _layout(fields[:2], SourceColumns(text="json.caption")).texts
    assert (column.top, column.steps, column.read) == ("json", ("caption",), "json.caption")


def test_a_repeated_column_is_an_error():
    with pytest.raises(SourceError, match="column 'text' occurs 2 times"):
        _layout([("image", IMAGE), _TEXT, _TEXT])
