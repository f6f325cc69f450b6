"""Nested options as flat flags, such as those of `lit-embed run`: each from the dataclass that owns the option."""

import re

import pytest
import tyro

from lit_precompute.commands.flags import flat_flags
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.making import run

# Flags with their defaults; users' scripts depend on them.
FLAGS = {
    "source": "(required)",
    "tower": "''",  # or --towers
    "output": "(required)",
    "weights": "None",
    "resolution": "None",
    "resize": "published",
    "pooling": "None",
    "compute-type": "float32",
    "batch-size": "None",
    "rows-per-shard": "4096",
    "dtype": "float16",
    "decode-in": "auto",
    "decode-workers": "None",
    "max-pixels": "178956970",
    "max-pixels-in-flight": "178956970",
    "timeout-per-image": "600.0",
    "max-failures": "None",
    "source-format": "None",
    "image-column": "path",
    "text-column": "text",
    "texts-column": "texts",
    "label-column": "label",
    "key-column": "key",
    "named-text": "",
    "sample-name": "first-dot",
    "gather": "False",
    "key-folders": "0",
    "whole-tars": "False",
    "split": "None",
    "limit": "None",
    "limit-seed": "None",
    "retry-failures": "False",
    "views": "0",
    "device": "auto",
    "num-devices": "None",
}
# Of the command, not of the job.
OWN_FLAGS = {"wait": "True", "towers": "None", "catalog": "None", "embed-again": "False"}


def parse(*arguments):
    required = ["--source", "a.tsv", "--tower", "vit_b16", "--output", "out"]
    return tyro.cli(flat_flags(EmbedOptions), args=[*required, *map(str, arguments)])


def test_help_lists_every_flag_with_its_default_and_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "240")
    assert run(monkeypatch, "run", "--help") == 0
    said = capsys.readouterr().out
    found = {}
    for part in re.split(r"^\W+--(?=[a-z])", said, flags=re.MULTILINE)[1:]:
        flag, text = part.split(maxsplit=1)
        assert re.search(r"\w+ \w+ \w+", text), f"--{flag} has no help"
        found[flag.rstrip(",")] = re.findall(r"\(default: (\S*)\)|(\(required\))", text)[-1]
    assert {flag: default or required for flag, (default, required) in found.items()} == FLAGS | OWN_FLAGS


def test_omitted_flags_have_the_options_defaults():
    assert parse() == EmbedOptions(source=SourceSpec("a.tsv"), tower=ImageTowerOptions(name="vit_b16"), output="out")


def test_each_flag_reaches_its_option():
    tower = {"weights": "w.npz", "resolution": 64, "resize": "square", "pooling": "map", "compute-type": "bfloat16"}
    columns = {"image": "file", "text": "caption", "texts": "captions", "label": "class", "key": "id"}
    others = {"batch-size": 8, "rows-per-shard": 9, "dtype": "int8", "max-failures": "5%", "source-format": "tsv"}
    others |= {"sample-name": "last-dot", "key-folders": 2, "split": "train", "limit": 7, "device": "cpu"}
    others |= {"num-devices": 8, "views": 2, "limit-seed": 5}
    decoding = {"decode-in": "processes", "decode-workers": 3, "max-pixels": 5000, "max-pixels-in-flight": 9000}
    decoding |= {"timeout-per-image": 2.5}
    given = tower | {f"{name}-column": value for name, value in columns.items()} | others | decoding
    switches = ["--gather", "--whole-tars", "--retry-failures", "--named-text", "title=TITLE", "tags=KEYWORDS"]
    flags = {"source", "tower", "output", "gather", "whole-tars", "retry-failures", "named-text", *given}
    assert flags == {*FLAGS}
    found = parse(*(part for flag, value in given.items() for part in (f"--{flag}", value)), *switches)
    assert found == EmbedOptions(
        source=SourceSpec(
            "a.tsv",
            format="tsv",
            columns=SourceColumns(**columns, named=("title=TITLE", "tags=KEYWORDS")),
            sample_name="last-dot",
            gather=True,
            key_folders=2,
            whole_tars=True,
            split="train",
        ),
        output="out",
        tower=ImageTowerOptions(
            name="vit_b16",
            weights="w.npz",
            resolution=64,
            resize="square",
            pooling="map",
            compute_type="bfloat16",
        ),
        decoding=DecodingOptions(
            decode_in="processes",
            decode_workers=3,
            max_pixels=5000,
            max_pixels_in_flight=9000,
            timeout_per_image=2.5,
        ),
        batch_size=8,
        rows_per_shard=9,
        vector_type="int8",
        max_failures="5%",
        limit=7,
        limit_seed=5,
        retry_failures=True,
        device="cpu",
        num_devices=8,
        views=2,
    )


def test_an_option_that_breaks_a_rule_says_which():
    with pytest.raises(SourceError, match="names must differ"):
        parse("--text-column", "path")
    with pytest.raises(ValueError, match="--max-pixels must be >= 1, got 0"):
        parse("--max-pixels", "0")
    with pytest.raises(ValueError, match=r"--timeout-per-image must be a number of seconds above 0, got 0\.0"):
        parse("--timeout-per-image", "0")
    with pytest.raises(ValueError, match="--max-pixels-in-flight must be >= 1, got -1"):
        parse("--max-pixels-in-flight", "-1")
    with pytest.raises(ValueError, match=r"--max-pixels must be at most 1000000000000, got 10{20}"):
        parse("--max-pixels", 10**20)
