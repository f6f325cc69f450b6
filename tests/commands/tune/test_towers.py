"""`lit-tune towers` and `lit-tune export`: the list, cards, patterns, JSON, files for other programs."""

import json
import math
import re

import pytest

from lit_precompute.commands.tune import main
from lit_precompute.towers.text import make_text_tower, text_towers
from lit_precompute.towers.text.catalogue import describe
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.tune.model.test_exporting import make_model


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr("sys.argv", ["lit-tune", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.slow
def test_the_list_names_every_tower_with_its_sizes(monkeypatch, capsys):
    assert run(monkeypatch, "towers") == 0
    said = capsys.readouterr().out
    for name in text_towers():
        assert re.search(rf"^{re.escape(name)} ", said, re.MULTILINE), name
    assert re.search(r"^vit-giant +vit +1,408 +40 +1,055\.1 M +any +sentencepiece *$", said, re.MULTILINE)
    assert re.search(
        r"^google/siglip2-large-patch16-256 +vit +1,024 +24 .* 64 +huggingface +Hugging", said, re.MULTILINE
    )
    assert f"{len(text_towers())} towers; lit-tune towers NAME" in said


def test_a_pattern_filters_the_list(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "lit-l16*") == 0
    lines = capsys.readouterr().out.splitlines()[1:-1]
    assert {"lit-l16s", "lit-l16ti"} <= {line.split()[0] for line in lines}
    assert any(re.search(r"storage\.googleapis\.com/vit_models", line) for line in lines)


def test_a_card_says_what_a_tower_is_and_how_to_use_it(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "google/siglip-base-patch16-224") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "768 numbers before the head; pooling last" in said
    # 203,155,970 published for both sides: less the image side, a temperature, a bias, and the text side's head.
    assert "parameters 109,681,152 without the head" in said
    assert "64 unless --text.max-tokens says otherwise, 64 at most" in said
    assert "lit-tune --text-tower.weights google/siglip-base-patch16-224 --dataset DIR" in said
    assert run(monkeypatch, "towers", "vit-base") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "weights none: it starts at random" in said
    assert "16 unless --text.max-tokens says otherwise tokenizer sentencepiece: trained on the captions" in said


def test_json_of_a_card_and_of_a_list(monkeypatch, capsys):
    assert run(monkeypatch, "towers", "vit-tiny", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["width"], card["depth"], card["options"]["kind"]) == (192, 12, "vit")
    assert run(monkeypatch, "towers", "vit-*l*", "--json") == 0
    assert {card["name"] for card in json.loads(capsys.readouterr().out)} == {"vit-small", "vit-large"}


def test_a_folder_with_a_config_has_a_card(monkeypatch, capsys, tmp_path):
    text = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 160}
    config = {"model_type": "siglip", "text_config": {**text, "vocab_size": 101, "max_position_embeddings": 7}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run(monkeypatch, "towers", tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "blocks 3" in said
    assert "7 unless --text.max-tokens says otherwise, 7 at most" in said


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("vit-bas", "did you mean one of vit-base"),
        ("zz*", "no tower's name matches 'zz*'; `lit-tune towers` lists all of them"),
        ("some.npz", "some.npz: a file of weights does not say what it is"),
    ],
)
def test_an_unknown_name_is_one_message(monkeypatch, capsys, asked, message):
    assert run(monkeypatch, "towers", asked) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["vit-tiny", "lit-l16s", "distilbert/distilbert-base-uncased", "google-t5/t5-small"])
def test_blocks_are_counted_without_building_them_all(name):
    entry = text_towers()[name]
    described = describe(name, entry)
    rows = getattr(entry.options, "vocabulary_rows", 0) or entry.tokenizer.vocabulary_size
    tower = make_text_tower(
        entry.options,
        vocabulary=Vocabulary(rows, 1, 0),
        max_tokens=described.usual_tokens,
        output_width=10,
        compute_type="float32",
    )
    shapes = {name: shape for name, shape in tower.parameter_shapes.items() if not name.startswith("head/")}
    assert described.num_parameters == sum(map(math.prod, shapes.values()))


def test_without_a_subcommand_it_trains(monkeypatch, capsys):
    assert run(monkeypatch, "--dataset", "/nowhere", "--output", "towers") == 2
    assert "nowhere: there is no directory of this name; check the path" in capsys.readouterr().err


@pytest.mark.parametrize("names", ["transformers", "big_vision"])
def test_export_says_what_it_wrote(monkeypatch, capsys, tmp_path, names):
    make_model().save(tmp_path / "model")
    assert run(monkeypatch, "export", tmp_path / "model", "--output", tmp_path / "out", "--names", names) == 0
    said = capsys.readouterr().out
    assert ("model.safetensors" if names == "transformers" else "text_tower.npz") in said
    assert "read back, the embeddings are the same to the bit" in said
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    assert facts["tuned_model"] == TunedModel.load(tmp_path / "model").digest
    assert run(monkeypatch, "export", tmp_path / "model", "--output", tmp_path / "out", "--names", names) == 2
    assert "error: " in capsys.readouterr().err


def test_export_of_no_model_is_one_message(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "export", tmp_path, "--output", tmp_path / "out") == 2
    assert "this is not a tuned model" in capsys.readouterr().err
