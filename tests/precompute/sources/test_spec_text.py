import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.precompute.sources.opening import format_names
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.precompute.sources.spec_text import parse_spec, settings_of


@pytest.mark.parametrize(
    "text",
    [
        "images/t.csv",
        "C:\\images\\t.csv",
        "c:/images/t.csv",
        "gs://bucket/data-{0000..0012}.tar",
        "s3://bucket/data-?.csv",
        "data-?[ab]*.csv",
        "a:b.csv",
        "12:30:00.csv",
        "csv://bucket/t",
        "https://host/t.csv?X-Amz-Date=1&X-Amz-Signature=ab%2F",
        "https://host/t.csv?token",
        "https://user:word@host:80/t.csv",
        "simplecache::s3://bucket/t.csv",
        "",
    ],
)
def test_a_path_is_taken_as_it_is(text):
    if not text:
        with pytest.raises(SourceError, match="a path is missing"):
            parse_spec(text)
    else:
        assert parse_spec(text) == SourceSpec(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("csv:a:b.txt", SourceSpec("a:b.txt", format="csv")),
        ("csv:C:\\t.txt", SourceSpec("C:\\t.txt", format="csv")),
        ("tsv:gs://bucket/list", SourceSpec("gs://bucket/list", format="tsv")),
        ("webdataset:/data/*", SourceSpec("/data/*", format="webdataset")),
        ("t.csv?text=caption&image=file", SourceSpec("t.csv", columns=SourceColumns(text="caption", image="file"))),
        ("data-?.csv?text=caption", SourceSpec("data-?.csv", columns=SourceColumns(text="caption"))),
        ("t.csv?gather=true", SourceSpec("t.csv", gather=True)),
        ("d.tar?sample-name=last-dot", SourceSpec("d.tar", sample_name="last-dot")),
        ("t.csv?format=tsv", SourceSpec("t.csv", format="tsv")),
        (
            "jsonl:gs://b/*.json?text=caption&named.title=TITLE&named.tags=KEY%26WORDS",
            SourceSpec(
                "gs://b/*.json",
                format="jsonl",
                columns=SourceColumns(text="caption", named=("title=TITLE", "tags=KEY&WORDS")),
            ),
        ),
        ("t.csv?text=100%&key=a=b", SourceSpec("t.csv", columns=SourceColumns(text="100%", key="a=b"))),
        (
            "https://host/t.csv?token=1?text=caption",
            SourceSpec("https://host/t.csv?token=1", columns=SourceColumns(text="caption")),
        ),
        ("https://host/t.csv?key=secret?", SourceSpec("https://host/t.csv?key=secret")),
    ],
)
def test_format_before_and_settings_after(text, expected):
    assert parse_spec(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t.csv?imag=file", r"--source t\.csv\?imag=file: unknown name 'imag'; known are image, text, .*named\.NAME"),
        ("https://h/t.csv?text=a&imag=b", "unknown name 'imag'; .*if the address itself ends so, add a . at its end"),
        ("t.csv?named.=b", r"unknown name 'named\.'"),
        ("t.csv?text=a&text=b", "text is given twice"),
        ("csv:t?format=tsv", "format is given twice"),
        ("t.csv?gather=yes", "gather must be true or false, got 'yes'"),
        ("csv:", "a path is missing"),
        ("t.csv?named.Title=x", r"--named-text must be like title=COLUMN, a name in lower case, got 'Title=x'"),
        ("t.csv?text=path", "columns: names must differ"),
        ("t.csv?key=path", "; a column that is not there may have any name: --image-column none"),
        ("t.csv?text=label", "; a column that is not there may have any name: --label-column none"),
    ],
)
def test_mistakes_are_errors_that_say_what_there_is(text, message):
    with pytest.raises(SourceError, match=message):
        parse_spec(text)


def test_a_path_that_exists_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("csv:t.csv", "t.csv?text=caption", "data-{0..1}.csv"):
        assert parse_spec(name) != SourceSpec(name) or "{" in name
        (tmp_path / name).touch()
        assert parse_spec(name) == SourceSpec(name)


def test_a_toml_file_names_the_same(tmp_path):
    (tmp_path / "source.toml").write_text("""
path = "tables/*.csv"
format = "csv"
image = "file"
text = "caption"
gather = true
[named]
title = "TITLE"
""")
    columns = SourceColumns(image="file", text="caption", named=("title=TITLE",))
    expected = SourceSpec(f"{tmp_path}/tables/*.csv", format="csv", columns=columns, gather=True)
    assert parse_spec(f"{tmp_path}/source.toml") == expected
    assert parse_spec(f"file://{tmp_path}/source.toml").path == f"file://{tmp_path}/tables/*.csv"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('path = "t.csv"\nimag = "x"', r"source\.toml: unknown name 'imag'; known are path, image, text"),
        ('path = "t.csv"\n[named]\nTitle = "x"', "--named-text must be like title=COLUMN"),
        ('path = "t.csv"\nnamed = "x"', r"named must be a table like \[named\]"),
        ('path = "t.csv"\ngather = "true"', "gather must be true or false, got 'true'"),
        ('path = "t.csv"\ntext = true', "text must be a string, got True"),
        ('path = "t.csv"\ntext = ["a"]', r"text must be a string, got \['a'\]"),
        ('text = "a"', "path must be the path of a source, got None"),
        ("path = t.csv", "not TOML: "),
    ],
)
def test_mistakes_in_a_toml_file_are_errors(tmp_path, content, message):
    (tmp_path / "source.toml").write_text(content)
    with pytest.raises(SourceError, match=message):
        parse_spec(f"{tmp_path}/source.toml")


def test_a_toml_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.toml: cannot be opened"):
        parse_spec(f"{tmp_path}/gone.toml")


def test_flags_may_add_or_agree_but_not_contradict(tmp_path):
    flags = SourceSpec("", format="csv", columns=SourceColumns(text="caption", named=("title=T",)))
    both = parse_spec("t.txt?text=caption&key=id", flags)
    assert both == SourceSpec(
        "t.txt", format="csv", columns=SourceColumns(text="caption", key="id", named=("title=T",))
    )
    with pytest.raises(SourceError, match="text is 'x', but 'caption' by --text-column: give it once"):
        parse_spec("t.txt?text=x", flags)
    with pytest.raises(SourceError, match="format is 'tsv', but 'csv' by --source-format: give it once"):
        parse_spec("tsv:t.txt", flags)
    with pytest.raises(SourceError, match=r"named\.title is 'U', but 'T' by --named-text title=COLUMN: give it once"):
        parse_spec("t.txt?named.title=U", flags)
    (tmp_path / "source.toml").write_text('path = "t.csv"\ntext = "x"')
    with pytest.raises(SourceError, match="text is 'x', but 'caption' by --text-column"):
        parse_spec(f"{tmp_path}/source.toml", flags)
    with pytest.raises(SourceError, match="text is 'y', but 'x' by text in the file"):
        parse_spec(f"{tmp_path}/source.toml?text=y")


def test_no_format_can_be_taken_for_a_drive():
    assert all(len(name) > 1 for name in format_names())


_columns = st.text("abXY%&=?. ", min_size=1, max_size=5)


@given(text=_columns.map("t".__add__), key=_columns.map("k".__add__), gather=st.booleans())
def test_every_value_can_be_written(text, key, gather):
    def quoted(value: str) -> str:
        return value.replace("%", "%25").replace("&", "%26").replace("?", "%3F")

    spec = SourceSpec("a.csv", gather=gather, columns=SourceColumns(text=text, key=key))
    settings = {name: "true" if value is True else quoted(value) for name, value in settings_of(spec).items()}
    query = "&".join(f"{name}={value}" for name, value in settings.items())
    assert parse_spec(f"a.csv?{query}") == spec


@pytest.mark.parametrize(
    ("text", "meant"), [("gs:/b/t.csv", "write gs://b/t.csv"), ("GS://b/t.csv", "write gs://b/t.csv")]
)
def test_a_url_that_lost_a_slash_is_refused_with_what_to_write(tmp_path, monkeypatch, text, meant):
    with pytest.raises(SourceError, match=f"--source {text}: .*{meant}"):
        parse_spec(text)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / text
    path.parent.mkdir(parents=True)
    path.touch()
    assert text.startswith("GS") or parse_spec(text) == SourceSpec(text)  # it is there
