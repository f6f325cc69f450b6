"""`lit-embed towers`: the list, cards, patterns, JSON, unknown names."""

import json
import re

import pytest

from lit_precompute.towers.catalogue import describe, in_words
from lit_precompute.towers.registry import find_tower, tower_names
from tests.pipelines.embed.making import run


def test_the_list_names_every_tower_with_its_sizes(monkeypatch, capsys):
    assert run(monkeypatch, "towers") == 0
    said = capsys.readouterr().out
    for name in tower_names():
        assert re.search(rf"^{re.escape(name)} ", said, re.MULTILINE), name
    assert re.search(r"^vit_b16 +768 +85\.8 M +224$", said, re.MULTILINE)
    assert re.search(
        r"^facebook/dinov2-large +1,024 +30\d\.\d M +224 +86\.3% ImageNet.* Hugging Face", said, re.MULTILINE
    )
    assert f"{len(tower_names())} towers" in said


def test_a_pattern_filters_the_list(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "dino_*") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert sorted(names) == ["dino_vitb16", "dino_vitb8", "dino_vits16", "dino_vits8"]


def test_a_card_says_what_a_tower_is_and_how_to_use_it(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "openai/clip-vit-base-patch16") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "embedding projection (512); --pooling also takes class_token (768), average (768), map (768)" in said
    assert "224 x 224 pixels: short side to 224 (bicubic, antialias, pillow), the middle 224 x 224" in said
    assert "accuracy 68.6% ImageNet, zero-shot" in said
    assert (
        "lit-embed run --tower openai/clip-vit-base-patch16 --source TABLE" in said
    )  # without --weights: they are published
    assert run(monkeypatch, "towers", "vit_b16") == 0
    assert "lit-embed run --tower vit_b16 --weights FILE --source" in " ".join(capsys.readouterr().out.split())


def test_json_of_a_card_and_of_a_list(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "vit_b16", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    widths = {"class_token": 768, "average": 768, "class_token+average": 1536, "map": 768, "pre_logits": 768}
    assert card["embedding"] == widths
    assert card["num_parameters"] == 85_798_656
    assert run(monkeypatch, "towers", "vit_b*", "--json") == 0
    assert "vit_b32" in [card["name"] for card in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("asked", "message"),
    [("vit_b61", "did you mean one of vit_b16"), ("zz*", "no tower's name matches 'zz*'")],
)
def test_an_unknown_name_is_one_message(monkeypatch, capsys, asked, message):
    assert run(monkeypatch, "towers", asked) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", tower_names())
def test_every_tower_can_be_described(name):
    entry = find_tower(name)
    description = describe(name, entry)
    assert description.width == entry.config.output_width > 0
    assert description.num_parameters > 10**4 or name.startswith("test-")
    assert str(entry.preprocessing.size) in in_words(entry.preprocessing)
    assert entry.preprocessing.size == entry.config.resolution
