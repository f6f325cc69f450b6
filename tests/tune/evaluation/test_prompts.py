"""Prompts: canonical text, the published lists, and files."""

import pytest

from lit_precompute.tune.evaluation.prompts import (
    TEMPLATES,
    PromptError,
    canonical,
    check_templates,
    class_name,
    make_prompts,
    read_classes,
    read_templates,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A photo of a {}.", "a photo of a"),
        ("great_white  shark", "great white shark"),
        ("Jack-o'-lantern", "jackolantern"),
        ("  Crème BRÛLÉE!\n", "crème brûlée"),
    ],
)
def test_canonical_text(text, expected):
    assert canonical(text) == expected


def test_a_prompt_contains_the_first_alias_in_place_of_the_braces():
    assert make_prompts("Great_White, man-eater", ("A photo of the {}.", "{}")) == [
        "a photo of the great white",
        "great white",
    ]
    assert class_name("missile, projectile missile") == "missile"


def test_the_lists_have_the_published_lengths_and_members():
    """CLIP publishes 80 templates, LiT adds the bare name; the shorter list has 7 and the bare name."""
    assert {name: len(set(templates)) for name, templates in TEMPLATES.items()} == {
        "plain": 1,
        "clip_best": 8,
        "clip_paper": 81,
    }
    assert set(TEMPLATES["clip_best"]) <= set(TEMPLATES["clip_paper"])
    for template in ("itap of my {}", "a photo of the hard to see {}", "a embroidered {}", "the {} in a video game"):
        assert template in TEMPLATES["clip_paper"]
    assert all(template.count("{}") == 1 for template in TEMPLATES["clip_paper"])


def test_files_of_classes_and_templates(tmp_path):
    (tmp_path / "classes.txt").write_text("tench, Tinca tinca\n\n goldfish\n")
    (tmp_path / "classes.json").write_text('["tench", "goldfish"]')
    (tmp_path / "templates.txt").write_text("a {} emoji\nicon of {}\n")
    assert read_classes(str(tmp_path / "classes.txt")) == ["tench, Tinca tinca", "goldfish"]
    assert read_classes(str(tmp_path / "classes.json")) == ["tench", "goldfish"]
    (tmp_path / "names.JSON").write_text('\ufeff["tench", "goldfish"]')
    assert read_classes(str(tmp_path / "names.JSON")) == ["tench", "goldfish"]
    (tmp_path / "lines.txt").write_bytes("cat\r\nbi\u2028rd\x0b\u0085x\rdog".encode())
    assert read_classes(str(tmp_path / "lines.txt")) == ["cat", "bi\u2028rd\x0b\u0085x", "dog"]
    assert read_templates(str(tmp_path / "templates.txt")) == ("a {} emoji", "icon of {}")
    assert read_templates("plain") == ("{}",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "a {}\nno place\n", "t.txt, line 2: a template must contain {} exactly once, got 'no place'"),
        ("t.txt", "{} and {}", "line 1: a template must contain {} exactly once"),
        ("t.txt", "\n", "it has no lines"),
        ("nowhere.txt", None, "templates must be one of plain, clip_best, clip_paper or a file; it cannot be read"),
    ],
)
def test_wrong_templates_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(PromptError) as caught:
        read_templates(str(tmp_path / name))
    assert message in str(caught.value)


def test_templates_from_python_are_checked():
    assert check_templates(["a {}", "{}"]) == ("a {}", "{}")
    with pytest.raises(PromptError, match=r"template 1: a template must contain \{\} exactly once, got 'a photo'"):
        check_templates(["{}", "a photo"])
    with pytest.raises(PromptError, match="at least one template"):
        check_templates([])


@pytest.mark.parametrize("content", ['{"a": 1}', "[]", '["a", 3]', "[", "[" * 100_000])
def test_wrong_classes_are_refused(tmp_path, content):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(PromptError, match=r"c\.json"):
        read_classes(str(tmp_path / "c.json"))
