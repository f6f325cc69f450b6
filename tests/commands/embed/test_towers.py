"""`lit-embed towers`: the list, cards, patterns, JSON, unknown names."""

import json
import re

import jax
import pytest

from lit_precompute.precompute import tower_speed
from lit_precompute.precompute.batch_size import DoesNotFitError
from lit_precompute.towers.catalogue import describe, in_words
from lit_precompute.towers.cost import count_flops
from lit_precompute.towers.registry import find_tower, tower_names
from tests.pipelines.embed.making import run
from tests.towers.tiny_tower import NAME as TINY
from tests.towers.tiny_tower import register_tiny_tower


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


def test_a_card_has_its_operations_and_says_how_to_time_it(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "vit_b32") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "FLOPs 8.26 billion for an image; a multiply-add is two" in said
    assert "speed --measure times it on this machine" in said


def test_a_list_counts_operations_where_it_is_asked_to(monkeypatch, capsys):
    """A second for each tower is too long for all of them."""
    assert run(monkeypatch, "towers", "vit_b32*") == 0
    assert "GFLOPs" not in capsys.readouterr().out
    assert run(monkeypatch, "towers", "vit_b32*", "--flops") == 0
    said = capsys.readouterr()
    assert re.search(r"^vit_b32 +768 +87\.5 M +224 +8\.3$", said.out, re.MULTILINE)
    assert "counting the operations of vit_b32, 1 of 3" in said.err
    assert run(monkeypatch, "towers", "vit_b32*", "--json") == 0
    assert [one["flops"] for one in json.loads(capsys.readouterr().out)] == [None] * 3
    assert run(monkeypatch, "towers", "vit_b32", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["flops"], card["speed"]) == (count_flops(*_of("vit_b32")), None)


def _of(name):
    entry = find_tower(name)
    return entry.family, entry.config


def test_measuring_times_each_tower_of_a_pattern(monkeypatch, capsys):
    """For real, but in the smallest batches; a tower that does not fit has a line that says so."""
    register_tiny_tower()
    asked = []

    def measured(options):
        asked.append(options)
        if options.name != TINY:
            raise DoesNotFitError(f"{options.name} does not fit")
        return real(options, num_rows=1)

    real = tower_speed.measure
    monkeypatch.setattr(tower_speed, "measure", measured)
    assert run(monkeypatch, "towers", TINY, "--measure", "--compute-type", "bfloat16", "--json") == 0
    said = capsys.readouterr()
    card = json.loads(said.out)
    assert f"measuring {TINY}, 1 of 1" in said.err
    assert card["speed"]["images_per_second"] > 0
    assert (card["speed"]["batch_size"], card["speed"]["compute_type"]) == (8 * jax.local_device_count(), "bfloat16")
    assert run(monkeypatch, "towers", TINY, "--measure") == 0
    assert re.search(r"^speed +[\d,.]+ images/s in batches of \d+ on ", capsys.readouterr().out, re.MULTILINE)
    assert run(monkeypatch, "towers", "vit_b32*", "--measure") == 0
    assert len(re.findall(r"^vit_b32\S* .*does not fit", capsys.readouterr().out, re.MULTILINE)) == 3
    assert run(monkeypatch, "towers", "vit_b32", "--measure") == 2
    assert "vit_b32 does not fit" in capsys.readouterr().err
    assert {one.compute_type for one in asked} == {"float32", "bfloat16"}


def test_a_compute_type_without_measuring_is_refused(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "vit_b32", "--compute-type", "bfloat16") == 2
    assert "--compute-type bfloat16 is for --measure, which is missing" in capsys.readouterr().err


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
    assert description.num_parameters > 10**4 or name.startswith(("test-", "test/"))
    assert str(entry.preprocessing.size) in in_words(entry.preprocessing)
    assert entry.preprocessing.size == entry.config.resolution
