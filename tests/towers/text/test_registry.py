"""What names, folders and files of text towers stand for."""

import json

import pytest

from lit_precompute.towers.text import resolve_text_tower, text_towers
from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.tokenizers import SentencePieceOptions
from lit_precompute.towers.tokenizers.huggingface.options import HuggingFaceOptions
from lit_precompute.towers.weights.errors import WeightsError

CONFIG = {
    "model_type": "bert",
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
}


def write_folder(folder, config=CONFIG, **pooling):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    return folder


def test_a_folder_is_what_its_config_says(tmp_path):
    folder = str(write_folder(tmp_path / "model"))
    name, entry = resolve_text_tower(folder)
    assert (name, entry.weights) == (folder, folder)
    assert isinstance(entry.options, BertTextOptions)
    assert (entry.options.width, entry.options.depth, entry.options.mlp_width) == (8, 2, 16)
    assert entry.options.weights is None
    assert entry.tokenizer.path == folder


@pytest.mark.parametrize(
    ("modes", "pooling"),
    [
        ({"cls_token": True, "mean_tokens": False}, "first"),
        ({"cls_token": False, "mean_tokens": True}, "average"),
        ({"max_tokens": True}, "max"),
    ],
)
def test_a_model_of_sentence_transformers_pools_as_it_says(tmp_path, modes, pooling):
    modes = {f"pooling_mode_{name}": value for name, value in modes.items()}
    folder = write_folder(tmp_path / "model", word_embedding_dimension=8, **modes)
    assert resolve_text_tower(str(folder))[1].options.pooling == pooling


def test_another_pooling_of_sentence_transformers_is_refused(tmp_path):
    folder = write_folder(tmp_path / "model", pooling_mode_mean_tokens=False, pooling_mode_weightedmean_tokens=True)
    with pytest.raises(ValueError, match=r"1_Pooling/config.json: .*its only mode of pooling, got \['weightedmean_to"):
        resolve_text_tower(str(folder))


@pytest.mark.parametrize(
    ("files", "options"),
    [
        (["tokenizer.json", "spiece.model"], HuggingFaceOptions),
        (["vocab.txt"], HuggingFaceOptions),
        (["spiece.model"], SentencePieceOptions),
        ([], HuggingFaceOptions),
    ],
)
def test_the_tokenizer_is_what_the_folder_holds(tmp_path, files, options):
    """Google's repositories of mT5 and T5 1.1 hold a SentencePiece model and no tokenizer.json."""
    folder = write_folder(tmp_path / "model")
    for file in files:
        (folder / file).touch()
    for place in (str(folder), folder.as_uri()):
        assert resolve_text_tower(place)[1].tokenizer == options(path=place, special_tokens="published")


def test_a_repository_is_as_it_was_at_the_first_look(server):
    """Once its config.json is in the cache, a repository is not asked again what is beside it."""
    root = "/owner/name/resolve/main"
    contents = {
        "config.json": json.dumps(CONFIG),
        "1_Pooling/config.json": json.dumps({"pooling_mode_mean_tokens": True}),
        "spiece.model": "pieces",
    }
    server.contents |= {f"{root}/{name}": content.encode() for name, content in contents.items()}
    _, entry = resolve_text_tower("owner/name")
    assert entry.options.pooling == "average"
    assert entry.tokenizer == SentencePieceOptions(path="hf://owner/name", special_tokens="published")
    assert server.fetched()[-1].endswith("/config.json")  # a process that is killed before it has asked for all
    num_asked = len(server.asked)
    assert resolve_text_tower("owner/name") == ("owner/name", entry)
    assert len(server.asked) == num_asked


def test_an_unreachable_repository_is_named(places, set_hub, hub_variables):
    set_hub(**hub_variables, HF_HUB_OFFLINE="1")
    with pytest.raises(WeightsError, match=r"text tower 'owner/name': its config.json .* cannot be had"):
        resolve_text_tower("owner/name")


def test_a_file_does_not_say_what_it_is():
    assert resolve_text_tower("some/weights.npz") == ("some/weights.npz", None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bert-base-uncased", r"unknown text tower .*did you mean one of google-bert/bert-base-uncased"),
        ("BERT-Base", r"did you mean one of google-bert/bert-base-uncased, google-bert/bert-base-cased"),
        ("SigLIP2-Base-Patch16-224", r"did you mean one of google/siglip2-base-patch16-224"),
        ("qqqq", r"unknown text tower 'qqqq', and no such folder or file; `lit-tune towers` lists them"),
    ],
)
def test_an_unknown_name_says_what_there_is(name, message):
    with pytest.raises(ValueError, match=message):
        resolve_text_tower(name)


def test_a_folder_without_a_config_says_what_is_missing(tmp_path):
    with pytest.raises(
        ValueError, match=r"the folder has neither config.json, .* nor a finished run of lit-tune; give"
    ):
        resolve_text_tower(str(tmp_path))


def test_a_config_of_another_family_is_refused(tmp_path):
    folder = write_folder(tmp_path / "model", CONFIG | {"model_type": "gpt2"})
    with pytest.raises(ValueError, match=r"config.json: model_type must be one of bert, .*, got 'gpt2'"):
        resolve_text_tower(str(folder))


def test_every_name_stands_for_itself():
    for name, entry in text_towers().items():
        assert resolve_text_tower(name) == (name, entry)
        assert entry.options.weights is None, name
