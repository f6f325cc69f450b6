"""The recipes of the paper's Table 10, value by value against the table in the paper's own text.

`table10.csv` is the table as arXiv:2111.07991 prints it; the other expectations are the words of its appendices.
"""

import csv
import dataclasses
import pathlib
import re

import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.registry import tower_names
from lit_precompute.towers.text import text_towers
from lit_precompute.tune.recipes import RECIPES
from lit_precompute.tune.recipes.errata import ERRATA, NAMES, errata_of, followed
from lit_precompute.tune.recipes.paper_recipe import PaperRecipe
from lit_precompute.tune.recipes.registry import SHORT, find_recipe
from lit_precompute.tune.recipes.table10 import PRINTED
from lit_precompute.tune.recipes.values import NOT_SAID

with (pathlib.Path(__file__).parent / "table10.csv").open(encoding="utf-8", newline="") as _file:
    PAPER = list(csv.DictReader(_file))
LOCKED = [name for name in RECIPES if name not in SHORT]
ROWS = dict(zip(NAMES, PAPER, strict=True))
# The rows whose text tower the table calls t5-base and whose figures are mT5's in Table 5: I->T, T->I.
MT5 = {("59.3", "28.7", "17.4"), ("58.1", "28.3", "16.4")}
UNITS = {"M": 10**6, "B": 10**9}
IMAGE_TOWERS = {
    ("vit-B/32", "AR"): "vit_b32-augreg_in21k",
    ("vit-B/16", "AR"): "vit_b16-augreg_in21k",
    ("vit-L/16", "AR"): "vit_l16-augreg_in21k",
    ("vit-B/32", "JFT"): "vit_b32",
    ("vit-B/16", "JFT"): "vit_b16",
    ("vit-L/16", "JFT"): "vit_l16",
    ("vit-g/14", "JFT"): "vit_g14",
    ("vit-g/14*", "JFT"): "vit_g14",
    ("dino-B/16", "vit"): "dino_vitb16",
    ("mocov3-B/16", "vit"): "mocov3_vitb16",
    ("bit-50x1", "M"): "bit_r50x1-bit_m",
    ("mixer-B/32", "AR"): "mixer_b32",
}
IMAGE_WIDTHS = {"vit-L/16": 1024, "vit-g/14": 1408, "vit-g/14*": 1408, "bit-50x1": 2048}
# Width, depth and where LU starts.
TEXT_TOWERS = {
    "bert-base": ("bert", 768, 12, "google-bert/bert-base-uncased"),
    "bert-large": ("bert", 1024, 24, "google-bert/bert-large-uncased"),
    "t5-base": ("t5", 768, 12, "google-t5/t5-base"),
    "mt5-base": ("t5", 768, 12, "google/mt5-base"),
    "vit-base": ("vit", 768, 12, None),
    "vit-large": ("vit", 1024, 24, None),
    "vit-huge": ("vit", 1280, 32, None),
    "vit-giant": ("vit", 1408, 40, None),
}
TOKENIZERS = {
    ("WP", "bert-base"): ("huggingface", "hf://google-bert/bert-base-uncased"),
    ("WP", "bert-large"): ("huggingface", "hf://google-bert/bert-base-uncased"),
    ("WP", "vit-base"): ("huggingface", "hf://google-bert/bert-base-uncased"),
    ("SP", "t5-base"): ("sentencepiece", "hf://google-t5/t5-base"),
    ("SP", "mt5-base"): ("sentencepiece", "hf://google/mt5-base"),
}
# Images seen: steps (appendices A, B and C; sections 5.1 and 5.2).
STEPS = {"901M": 55_000, "983M": 60_000, "246M": 15_000, "200M": 12_207, "18.2B": 555_420}


def text_of(row: dict[str, str]) -> str:
    return "mt5-base" if (row["INet"], row["I→T"], row["T→I"]) in MT5 else row["Text"]


def images_seen(words: str) -> int:
    return round(float(words[:-1]) * UNITS[words[-1]])


def paper_recipe(name: str) -> PaperRecipe:
    found = RECIPES[name]
    assert isinstance(found, PaperRecipe)
    return found


def test_the_table_is_transcribed_as_printed():
    assert len(PAPER) == len(PRINTED) == 47
    for paper, row in zip(PAPER, PRINTED, strict=True):
        image_start, _, text_start = paper["Inits"].partition(",")
        assert dataclasses.asdict(row) == {
            "ref": paper["Ref"],
            "dataset": paper["Dataset"],
            "num_images": images_seen(paper["Images"]),
            "setting": paper["Cfg"],
            "has_head": {"y": True, "n": False}[paper["H"]],
            "image": paper["Image"],
            "text": paper["Text"],
            "tokenizer": paper["Tok"],
            "image_start": image_start,
            "text_start": text_start or "-",
            "optimizer": paper["Optim"],
            "learning_rate": float(paper["LR"]),
            "weight_decay": float(paper["WD"]),
            "imagenet": float(paper["INet"]),
            "text_to_image": float(paper["T→I"]),
            "image_to_text": float(paper["I→T"]),
        }


def test_each_row_has_a_name_of_its_own():
    assert len({*NAMES}) == 47
    for name, row in ROWS.items():
        image = row["Image"].replace("/", "").replace("*", "-288").lower()
        parts = (row["Ref"].replace(" ", "").lower(), row["Dataset"].lower(), row["Cfg"], image, text_of(row))
        assert name == "-".join((*parts, row["Tok"].lower()))
    assert "tab5-yfcc-Lu-vit-b32-vit-base-wp" in RECIPES


@pytest.mark.parametrize("name", LOCKED)
def test_the_embedding_is_the_rows(name):
    row, recipe = ROWS[name], paper_recipe(name)
    is_own = row["Dataset"] == "Ours"
    tower = recipe.value("image.tower")
    assert tower == IMAGE_TOWERS[row["Image"], row["Inits"].partition(",")[0]]
    assert tower in tower_names()
    assert recipe.value("image.resolution") == (288 if row["Image"] == "vit-g/14*" else 224)
    assert recipe.value("image.preprocessing") == ("resized" if is_own else "inception crops")
    assert recipe.value("dataset") == ("CLIP" if row["Ref"] == "Tab 5" else row["Dataset"])
    assert recipe.value("images_seen") == images_seen(row["Images"])
    assert recipe.value("setting") == row["Cfg"]


@pytest.mark.parametrize("name", LOCKED)
def test_the_sides_are_the_rows(name):
    row, recipe = ROWS[name], RECIPES[name].recipe
    width = IMAGE_WIDTHS.get(row["Image"], 768)
    assert recipe.image_side.head_width == (width if row["H"] == "y" else None)
    assert not recipe.image_side.standardise
    assert recipe.setting == row["Cfg"]
    kind, width, depth, weights = TEXT_TOWERS[text_of(row)]
    tower = recipe.text_tower
    assert (tower.kind, tower.width, tower.depth) == (kind, width, depth)
    assert tower.weights == (weights if row["Cfg"] == "LU" else None)
    assert tower.pooling == {"bert": "first", "t5": "average", "vit": "last"}[kind]
    # big_vision trains flaxformer's BERT with dropout_rate 0.1; its text ViT has 0.
    assert tower.dropout == (0.1 if kind == "bert" else 0.0)
    tokenizer = TOKENIZERS.get((row["Tok"], text_of(row)), ("sentencepiece", None))
    assert (recipe.tokenizer.kind, recipe.tokenizer.path) == tokenizer
    assert recipe.tokenizer.special_tokens == ("published" if kind == "t5" else "paper")
    assert recipe.text.max_tokens == 16


@pytest.mark.parametrize("name", LOCKED)
def test_the_data_are_the_rows_and_the_appendices(name):
    row, recipe = ROWS[name], RECIPES[name].recipe
    text, data = recipe.text, recipe.data
    # Appendix C: all three fields of YFCC100m, jointly, with shuffled tags and filtered titles.
    has_fields = row["Dataset"] in ("CLIP", "YFCC", "Mixed")
    fields = ("title", "description", "tags") if has_fields else ("texts",)
    assert text.field_names == (("texts", *fields) if row["Dataset"] == "Mixed" else fields)
    assert text.combine == ("joint" if has_fields else "per-image")
    assert (text.shuffled, text.filtered) == (("tags", "title") if has_fields else ("", ""))
    # Appendix B crops and holds 50k pairs of CC12M out; appendix A resizes.
    assert data.views == (row["Dataset"] != "Ours")
    assert data.held_out == (50_000 if row["Dataset"] == "CC12M" else 0)
    assert data.mixture == ("alternate" if row["Dataset"] == "Mixed" else "joined")


@pytest.mark.parametrize("name", LOCKED)
def test_the_training_is_the_rows_and_the_appendices(name):
    row, recipe = ROWS[name], RECIPES[name].recipe
    optimizer, is_own = recipe.optimizer, row["Dataset"] == "Ours"
    assert optimizer.kind == {"Adam": "adam", "AdaF": "adafactor"}[row["Optim"]]
    assert (optimizer.learning_rate, optimizer.weight_decay) == (float(row["LR"]), float(row["WD"]))
    assert (optimizer.beta1, optimizer.beta2) == (0.9, 0.999)
    assert optimizer.clip_norm == 1.0
    # Appendix A: a warm-up of 10k steps; appendix B: of 2k.
    assert optimizer.warmup_steps == (10_000 if is_own else 2_000)
    assert optimizer.schedule == "cosine"
    assert recipe.batch_size == (32_768 if row["Images"] == "18.2B" else 16_384)
    assert (recipe.num_epochs, recipe.num_steps) == (None, STEPS[row["Images"]])
    # Three digits, as printed.
    assert float(f"{recipe.num_steps * recipe.batch_size:.3g}") == images_seen(row["Images"])
    assert (recipe.loss.kind, recipe.loss.initial_scale) == ("softmax", 10.0)


@pytest.mark.parametrize("name", LOCKED)
def test_the_published_figures_are_the_rows(name):
    row, followed_row = ROWS[name], paper_recipe(name).row
    figures = (followed_row.imagenet, followed_row.text_to_image, followed_row.image_to_text)
    assert figures == tuple(float(row[column]) for column in ("INet", "T→I", "I→T"))


@pytest.mark.parametrize("name", LOCKED)
def test_every_value_says_its_source(name):
    recipe = paper_recipe(name)
    paths = [value.path for value in recipe.values]
    assert len({*paths}) == len(paths)
    for value in recipe.values:
        assert re.match(
            rf"Table 10|Table 5's figures|[Aa]ppendi|section|{NOT_SAID}: .|a crop for each|num_steps says", value.source
        ), value
    # What is not of the paper is the library's default.
    plain, content = type(recipe.recipe)(), recipe.recipe.to_json()
    for part, default in plain.to_json().items():
        if part in (*paths, "optimizer") or not isinstance(default, dict):
            continue
        for field, value in default.items():
            assert content[part][field] == value or f"{part}.{field}" in paths, f"{part}.{field}"


def test_the_known_errors_are_those_of_the_table():
    wrong = [erratum for erratum in ERRATA if erratum.followed != erratum.printed]
    assert [(erratum.field, erratum.followed) for erratum in wrong] == [
        ("text", "mt5-base"),
        ("text", "mt5-base"),
        ("dataset", "CLIP"),
        ("dataset", "CC12M and YFCC100m-CLIP"),
    ]
    for erratum in ERRATA:
        assert any(erratum.concerns(row) for row in PRINTED), erratum
    for paper, row in zip(PAPER, PRINTED, strict=True):
        changed = dataclasses.asdict(followed(row)).items() - dataclasses.asdict(row).items()
        expected = {("text", text_of(paper))} if text_of(paper) != paper["Text"] else set()
        assert changed == expected | ({("dataset", "CLIP")} if paper["Ref"] == "Tab 5" else set())
        assert not changed or errata_of(row)


def test_the_page_names_recipes_that_there_are():
    page = (pathlib.Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
    names = {*re.findall(r"\b(?:tab|fig)\d-[\w-]+-(?:wp|sp)\b", page)}
    assert len(names) > 3
    assert names <= {*RECIPES}


def test_text_towers_are_named_ones():
    assert {weights or name for name, (_, _, _, weights) in TEXT_TOWERS.items()} <= {*text_towers()}


@pytest.mark.parametrize(
    ("name", "setting", "closest"),
    [
        ("fig1-clip-UU-vit-b32-bert-base-wp", "UU", "fig1-clip-LU-vit-b32-bert-base-wp"),
        ("fig1-clip-uu-vit-b32-bert-base-wp", "uu", "tab5-yfcc-Lu-vit-b32-bert-base-wp"),
        ("tab2-ours-Uu-vit-b32-vit-base-sp", "Uu", "tab2-ours-Lu-vit-b32-vit-base-sp"),
        ("tab2-ours-uu-vit-b32-vit-base-sp", "uu", "tab2-ours-Lu-vit-b32-vit-base-sp"),
    ],
)
def test_rows_that_train_the_image_tower_are_refused(name, setting, closest):
    assert name not in RECIPES and closest in NAMES
    words = re.escape(
        f"{name} trains the image tower ({setting}), which is locked here: its embeddings are stored once; the closest "
        f"locked recipe is {closest}"
    )
    with pytest.raises(OptionsError, match=f"^{words}$"):
        find_recipe(name)


def test_an_unknown_name_is_refused_with_one_that_is_like_it():
    words = "did you mean tab5-yfcc-Lu-vit-b32-vit-base-wp\\? `lit-tune recipes` lists them"
    with pytest.raises(OptionsError, match=words):
        find_recipe("tab5-yfcc-Lu-vit-b32-vit-base")
