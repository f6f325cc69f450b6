"""The tuned model: it loads as it was saved, rows are independent, and every kind of damage is an error."""

import dataclasses
import hashlib
import json
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.model.sides import make_sides
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.model.tuned_model_files import CARD_NAME, PARAMETERS_NAME, TunedModelError, write_card
from tests.tune.small_runs import NUM_WORDS, RECIPE, WIDTH, tower_card, train, write_dataset

TEXTS = ["word1 word2 word3", "word4", "", "a word nobody knew"]


def make_model(*, head_width=None, standardise=True) -> TunedModel:
    side = ImageSideOptions(standardise=standardise, head_width=head_width)
    recipe = dataclasses.replace(RECIPE, image_side=side)
    tokenizer = WordTokenizer([f"word{number}" for number in range(NUM_WORDS)])
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731  # one line, used five times
    image_parameters = {"kernel": draw(WIDTH, head_width), "bias": draw(head_width)} if head_width else {}
    statistics = Statistics(draw(WIDTH), 1 + draw(WIDTH) ** 2) if standardise else None
    sides = make_sides(recipe, width=WIDTH, vocabulary=tokenizer.vocabulary, statistics=statistics)
    drawn = sides.text.initialise(jax.random.key(1))
    return TunedModel(
        recipe=recipe,
        sides=sides,
        image_parameters=image_parameters,
        text_parameters={name: np.asarray(value) for name, value in drawn.items()},
        tokenizer=tokenizer,
        statistics=statistics,
        scale=23.5,
        image_tower=tower_card().model_dump(),
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    make_model(head_width=12).save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


@pytest.mark.parametrize("head_width", [None, 12])
@pytest.mark.parametrize("standardise", [False, True])
def test_loads_as_it_was_saved(tmp_path, head_width, standardise):
    model = make_model(head_width=head_width, standardise=standardise)
    model.save(tmp_path / "model")
    loaded = TunedModel.load(tmp_path / "model")
    assert (loaded.recipe, loaded.scale, loaded.image_tower) == (model.recipe, 23.5, model.image_tower)
    np.testing.assert_array_equal(loaded.embed_texts(TEXTS), model.embed_texts(TEXTS))
    vectors = np.random.default_rng(1).standard_normal((9, WIDTH)).astype(np.float16)
    np.testing.assert_array_equal(loaded.embed_images(vectors), model.embed_images(vectors))
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "model").rglob("*"):
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(tmp_path / "model")).read_bytes() == path.read_bytes()


def test_embeds_as_plain_numpy_would():
    """The image side in float64; the text side is the tower's own output, normalised."""
    model = make_model(head_width=12)
    vectors = np.random.default_rng(1).standard_normal((300, WIDTH))
    mean, deviation = (part.astype(np.float64) for part in model.statistics)
    expected = (vectors - mean) / deviation @ np.float64(model.image_parameters["kernel"]) + model.image_parameters[
        "bias"
    ]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed_images(vectors), expected, atol=1e-5)
    tokens = model.tokenizer.encode(TEXTS, RECIPE.text.max_tokens)
    outputs = np.asarray(jax.jit(model.sides.text.apply)(model.text_parameters, tokens), np.float64)
    expected = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed_texts(TEXTS), expected, atol=1e-5)


def test_a_row_does_not_depend_on_the_others(saved):
    model = TunedModel.load(saved)
    many = [f"word{number % NUM_WORDS} word{number % 7}" for number in range(600)]
    together = model.embed_texts(many)
    assert together.shape == (600, 12)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    for place in (0, 255, 256, 599):
        np.testing.assert_array_equal(model.embed_texts([many[place]])[0], together[place])


def test_no_rows_give_no_rows(saved):
    model = TunedModel.load(saved)
    assert model.embed_texts([]).shape == (0, 12)
    assert model.embed_images(np.zeros((0, WIDTH), np.float32)).shape == (0, 12)


def test_embeddings_of_another_width_are_refused(saved):
    with pytest.raises(ValueError, match=r"must be \[n, 24\], as 'drawn' gives them, got \[2, 25\]"):
        TunedModel.load(saved).embed_images(np.zeros((2, 25), np.float32))


def test_int8_embeddings_without_their_scales_are_refused(saved):
    with pytest.raises(ValueError, match=r"of a floating type, got int8: a dataset's `rows\(\.\.\.\)\.vectors\(\)`"):
        TunedModel.load(saved).embed_images(np.zeros((2, WIDTH), np.int8))


def test_a_dataset_of_another_tower_is_refused(saved, tmp_path):
    dataset = EmbeddingDataset.open(write_dataset(tmp_path / "dataset"))
    model = TunedModel.load(saved)
    model.check_goes_with(dataset)
    other = make_model()
    object.__setattr__(other, "image_tower", tower_card("e" * 64).model_dump())
    with pytest.raises(TunedModelError, match=rf"{'f' * 64} \('drawn'\), the model was tuned on {'e' * 64}"):
        other.check_goes_with(dataset)


def test_a_dataset_of_the_same_network_is_accepted_whatever_its_preprocessing(saved, tmp_path):
    """Another network is refused, with the differences."""
    card = tower_card().model_copy(
        update={
            "architecture": {"family": "vit", "width": WIDTH, "resolution": 224, "compute_type": "float32"},
            "preprocessing": {"size": 224},
        }
    )
    larger = {"architecture": card.architecture | {"resolution": 288}, "preprocessing": {"size": 288}}
    model = make_model()
    with EmbeddingDataset.open(write_dataset(tmp_path / "dataset", tower=card)) as dataset:
        for change in ({}, larger):
            object.__setattr__(model, "image_tower", {**card.model_dump(), "fingerprint": "e" * 64, **change})
            model.check_goes_with(dataset)
        assert model.preprocessing_differences(dataset) == {
            "resolution": {"model": 288, "dataset": 224},
            "size": {"model": 288, "dataset": 224},
        }
        object.__setattr__(model, "image_tower", {**model.image_tower, "weights_sha256": "1" * 64})
        with pytest.raises(
            TunedModelError, match=rf"weights_sha256 is '{'0' * 64}', the model's is '{'1' * 64}'\. Embed"
        ):
            model.check_goes_with(dataset)


def test_a_model_without_its_towers_card_is_refused(copy):
    path = copy / CARD_NAME
    content = json.loads(path.read_text())
    del content["image_tower"]["weights_sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(TunedModelError, match="weights_sha256"):
        TunedModel.load(copy)


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_loads_from_the_output_of_a_run(tmp_path):
    train(write_dataset(tmp_path / "dataset"), tmp_path / "run")
    whole, model = TunedModel.load(tmp_path / "run"), TunedModel.load(tmp_path / "run" / "model")
    np.testing.assert_array_equal(whole.embed_texts(TEXTS), model.embed_texts(TEXTS))
    assert model.training["num_steps"] == RECIPE.num_steps


def test_whoever_may_read_the_card_may_read_the_parameters(saved):
    modes = {path.stat().st_mode for path in (saved / "tuned_model.json", saved / "parameters.safetensors")}
    assert len(modes) == 1


def test_there_is_no_pickle(saved):
    assert {path.suffix for path in saved.rglob("*") if path.is_file()} == {".json", ".safetensors"}


def test_a_model_is_never_overwritten(copy):
    with pytest.raises(OSError, match="not empty"):
        make_model().save(copy)
    assert TunedModel.load(copy).output_width == 12
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


def edit_card(folder, **changes):
    path = folder / CARD_NAME
    card = json.loads(path.read_text())
    card.update(changes)
    path.write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


def test_a_directory_without_a_model_is_an_error(tmp_path):
    with pytest.raises(TunedModelError, match="there is no such directory"):
        TunedModel.load(tmp_path / "nowhere")
    with pytest.raises(TunedModelError, match=r"no tuned_model\.json, this is not a tuned model"):
        TunedModel.load(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(TunedModelError, match="the training is not finished"):
        TunedModel.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "format_version is 3, this library reads up to 2; update lit-precompute"),
        ({"scale": None}, r"missing keys \['scale'\]"),
        ({"colour": "blue"}, r"unknown keys \['colour'\]"),
        ({"recipe": {"size": 3}}, "size is not an option"),
        ({"output_width": 13}, "output_width is 13, the recipe's is 12"),
        ({"scale": "1"}, "scale must be a number > 0, got '1'"),
        ({"files": [PARAMETERS_NAME]}, "files must be a JSON object"),
        ({"files": {PARAMETERS_NAME: {"bytes": 3}}}, r"files\.parameters\.safetensors must be its bytes and sha256"),
        ({"files": {}}, r"files must list parameters\.safetensors, got \[\]"),
        ({"training": 5}, "training must be a JSON object, got 5"),
        ({"image_tower": 5}, r"tuned_model\.json: image_tower: Input should be a valid dictionary.*, got 5$"),
        ({"image_tower": "x"}, r"image_tower: Input should be a valid dictionary.*, got 'x'$"),
        ({"image_tower": [1]}, r"image_tower: Input should be a valid dictionary.*, got \[1\]$"),
        ({"image_tower": {}}, r"image_tower\.name: Field required, got \{\}; .*; and 3 more$"),
        ({"recipe": None}, r"missing keys \['recipe'\]"),
        ({"recipe": 5}, "options must be a JSON object, got 5"),
    ],
)
def test_a_wrong_card_is_an_error(copy, changes, message):
    edit_card(copy, **changes)
    with pytest.raises(TunedModelError, match=message):
        TunedModel.load(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "tokenizer/../../secret", "./secret", "a//b", ""])
def test_a_file_outside_the_folder_is_refused_unread(copy, name):
    """Otherwise a card could tell size and hash of any file of the machine that it is loaded on."""
    (copy.parent / "secret").write_text("secret")
    files = json.loads((copy / CARD_NAME).read_text())["files"]
    edit_card(copy, files=files | {name: {"bytes": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}})
    with pytest.raises(TunedModelError, match=rf"files must be in the model's folder, got '{name}'"):
        TunedModel.load(copy)


def test_a_model_imports_no_module(copy, monkeypatch, tmp_path):
    (tmp_path / "hostile_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    recipe = json.loads((copy / CARD_NAME).read_text())["recipe"]
    edit_card(copy, recipe=recipe | {"text_tower": {"kind": "hostile_module:mine"}})
    with pytest.raises(
        TunedModelError, match=r"recipe\.text_tower\.kind must be a plain name, got 'hostile_module:mine'"
    ):
        TunedModel.load(copy)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[]", "must be a JSON object, got list"),
        ("[" * 200_000, r"not JSON \(nested too deeply\)"),
        ('{"scale": ' + "9" * 5_000 + "}", r"not JSON \(a number has thousands of digits\)"),
    ],
)
def test_a_card_that_is_not_json_is_an_error(copy, content, message):
    (copy / CARD_NAME).write_text(content)
    with pytest.raises(TunedModelError, match=rf"tuned_model\.json: {message}.*; copy the model again"):
        TunedModel.load(copy)


def test_an_image_tower_that_is_null_is_an_error(copy):
    card = json.loads((copy / CARD_NAME).read_text())
    (copy / CARD_NAME).write_text(json.dumps(card | {"image_tower": None}))
    with pytest.raises(TunedModelError, match=r"image_tower: Input should be a valid dictionary.*, got None$"):
        TunedModel.load(copy)


@pytest.mark.parametrize(
    ("tower", "message"),
    [
        ({"depth": 10**7}, r"text_tower\.depth must be in \[1, 128\], got 10000000"),
        ({"depth": 128}, r"the recipe's needs 262,144 parameters or more, the file has 2,924$"),
        ({"width": 10**30}, r"text_tower\.width must be in \[1, 65536\]"),
        ({"mlp_width": 10**30}, r"text_tower\.mlp_width must be in \[1, 262144\]"),
        ({"num_heads": -1}, r"text_tower\.num_heads must be in \[1, 65536\]"),
    ],
)
def test_an_absurd_tower_is_refused_before_it_is_built(copy, tower, message):
    """By hand: a block has 4 x 16 x 16 + 2 x 16 x 32 = 2,048 weights, 128 of them 262,144."""
    recipe = json.loads((copy / CARD_NAME).read_text())["recipe"]
    edit_card(copy, recipe=recipe | {"text_tower": recipe["text_tower"] | tower})
    with pytest.raises(TunedModelError, match=message):
        TunedModel.load(copy)


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("text", {"max_tokens": 10**30}, r"text\.max_tokens must be <= 1000000"),
        ("image_side", {"standardise": True, "head_width": 10**30}, r"head_width must be in \[1, 1000000\] or None"),
    ],
)
def test_other_absurd_sizes_are_refused(copy, part, fields, message):
    recipe = json.loads((copy / CARD_NAME).read_text())["recipe"]
    edit_card(copy, recipe=recipe | {part: recipe[part] | fields})
    with pytest.raises(TunedModelError, match=message):
        TunedModel.load(copy)


def test_missing_truncated_and_changed_files_are_errors(copy):
    path = copy / PARAMETERS_NAME
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(TunedModelError, match=r"parameters\.safetensors: must have .* bytes, got"):
        TunedModel.load(copy)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(TunedModelError, match="SHA-256 must be"):
        TunedModel.load(copy)
    path.unlink()
    with pytest.raises(TunedModelError, match=r"parameters\.safetensors: missing; copy the model again"):
        TunedModel.load(copy)


def rewrite(folder, change):
    """Changes the parameters and updates the card: the model is wrong, but not damaged."""
    arrays = load_file(folder / PARAMETERS_NAME)
    change(arrays)
    save_file(arrays, folder / PARAMETERS_NAME)
    card = json.loads((folder / CARD_NAME).read_text())
    (folder / CARD_NAME).unlink()
    write_card(folder, {key: card[key] for key in card.keys() - {"format_version", "files", "libraries"}})


def retype(arrays, kind, value=None):
    array = arrays["txt/Embed_0/embedding"]
    arrays["txt/Embed_0/embedding"] = (array if value is None else np.full_like(array, value)).astype(kind)


def hide_behind_a_root(arrays):
    """Readers of weights ignore what is beside the outermost root, such as another tower."""
    for name in [name for name in arrays if name.startswith("txt/")]:
        arrays[name.replace("txt/", "txt/params/", 1)] = arrays.pop(name)
    arrays["txt/spare"] = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("txt/head/bias"), r"text tower: [^\n]*\n1 parameter missing:\n  head/bias"),
        (lambda arrays: arrays.update({"txt/tail": np.zeros(3, np.float32)}), r"1 parameter not expected:\n  tail"),
        (lambda arrays: arrays.pop("img/mean"), r"mean and deviation of the image side must be \[24\]"),
        (
            lambda arrays: arrays.update({"img/bias": np.zeros(3, np.float32)}),
            r"bias: the file has \(3\), the tower needs \(12\)",
        ),
        (lambda arrays: arrays.update({"other": np.zeros(3, np.float32)}), r"under img/ or txt/, got other$"),
        (lambda arrays: arrays.update({"img/tail": np.zeros(3, np.float32)}), r"1 parameter not expected:\n  tail"),
        (hide_behind_a_root, "text tower: arrays not expected: params/Embed_0/embedding, "),
        (lambda arrays: retype(arrays, np.int8), r"must be float32, got txt/Embed_0/embedding of type I8$"),
        (lambda arrays: retype(arrays, np.bool_), r"must be float32, got txt/Embed_0/embedding of type BOOL$"),
        (lambda arrays: retype(arrays, np.float64), r"must be float32, got txt/Embed_0/embedding of type F64$"),
        (lambda arrays: retype(arrays, np.float32, np.nan), "token_embedding/embedding: values must be finite"),
        (lambda arrays: arrays["img/mean"].fill(np.inf), "mean of the image side must be finite, got inf at 0"),
        (lambda arrays: arrays["img/deviation"].fill(np.nan), "deviation of the image side must be finite and > 0"),
        (lambda arrays: arrays["img/deviation"].fill(0), "must be finite and > 0, got 0.0 at 0"),
        (lambda arrays: arrays["img/deviation"].fill(1e-40), "must be finite and > 0, got 9.9.*e-41 at 0"),
        (lambda arrays: np.negative(arrays["img/deviation"], out=arrays["img/deviation"]), "finite and > 0, got -"),
    ],
)
def test_parameters_that_do_not_fit_are_errors(copy, change, message):
    rewrite(copy, change)
    with pytest.raises(TunedModelError, match=message):
        TunedModel.load(copy)


def test_a_url_is_refused():
    with pytest.raises(ValueError, match="model gs://bucket/model: must be a local path"):
        TunedModel.load("gs://bucket/model")
