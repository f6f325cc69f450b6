"""Class names and prompts: canonical text, lists of templates, files of either.

Promises: the canonical form and the lists are those that LiT's figures were taken with. A class name's first alias
(before a comma) stands in a prompt. Two classes may have one name, as two pairs of ImageNet's have (missile,
sunglasses): both keep their number, and since the first wins every tie, the second is never predicted.

Source: big_vision, evaluators/proj/image_text/prompt_engineering.py; CLIP's prompts, arXiv:2103.00020.
"""

import json
import pathlib
import string

# CLIP's 80 templates for ImageNet, by what stands before and after the name; "{}" alone is LiT's 81st.
_WITH_ARTICLE = [
    "a bad photo of {}",
    "a rendering of {}",
    "graffiti of {}",
    "a cropped photo of {}",
    "a tattoo of {}",
    "a bright photo of {}",
    "a dark photo of {}",
    "a drawing of {}",
    "a close-up photo of {}",
    "a black and white photo of {}",
    "a painting of {}",
    "a pixelated photo of {}",
    "a sculpture of {}",
    "a jpeg corrupted photo of {}",
    "a blurry photo of {}",
    "a photo of {}",
    "a good photo of {}",
    "a doodle of {}",
    "a sketch of {}",
    "a low resolution photo of {}",
    "a rendition of {}",
    "art of {}",
    "itap of {}",
]
_WITH_ARTICLE_AND_WORD = ["hard to see", "clean", "dirty", "cool", "large", "nice", "weird", "small"]
_OF_STUFF = ["embroidered", "plastic", "origami", "toy", "cartoon", "plushie"]
_ALONE = (
    "a photo of many {}|a photo of my {}|itap of my {}|a photo of one {}|a {} in a video game|the {} in a video game"
)
_CLIP = (
    *(template.format(f"{article} {{}}") for template in _WITH_ARTICLE for article in ("a", "the")),
    *(f"a photo of {article} {word} {{}}" for word in _WITH_ARTICLE_AND_WORD for article in ("a", "the")),
    *(f"{article} {stuff} {{}}" for stuff in _OF_STUFF for article in ("a", "the")),
    *_ALONE.split("|"),
)
_CLIP_BEST = (
    "itap of a {}|a bad photo of the {}|a origami {}|a photo of the large {}|a {} in a video game|art of the {}"
    "|a photo of the small {}"
)

TEMPLATES: dict[str, tuple[str, ...]] = {
    "plain": ("{}",),
    "clip_best": (*_CLIP_BEST.split("|"), "{}"),
    "clip_paper": (*_CLIP, "{}"),
}


class PromptError(ValueError):
    """A file of classes or templates that cannot be used; says where, what rule and what value."""


def canonical(text: str, *, keep: str = "") -> str:
    """Returns a text in the form that prompts have: no underscores or ASCII punctuation (but `keep`), lower case."""
    stripped = text.replace("_", " ").translate({ord(mark): None for mark in string.punctuation if mark not in keep})
    return " ".join(stripped.lower().split())


def class_name(name: str) -> str:
    """Returns a class's name in prompts: its first alias, canonical."""
    return canonical(name.split(",", maxsplit=1)[0])


def make_prompts(name: str, templates: tuple[str, ...]) -> list[str]:
    """Returns the prompts of a class, one for each template."""
    return [canonical(template, keep="{}").replace("{}", class_name(name)) for template in templates]


def read_templates(name_or_file: str) -> tuple[str, ...]:
    """Returns a named list of templates, or the lines of a file.

    Raises:
      PromptError: neither a name nor a file, or a line that does not hold {} exactly once.
    """
    if name_or_file in TEMPLATES:
        return TEMPLATES[name_or_file]
    lines = _read_lines(name_or_file, f"templates must be one of {', '.join(TEMPLATES)} or a file")
    for number, line in lines:
        if line.count("{}") != 1:
            raise PromptError(f"{name_or_file}, line {number}: a template holds {{}} exactly once, got {line!r}")
    return tuple(line for _, line in lines)


def read_classes(path: str) -> list[str]:
    """Returns class names in the order of their numbers: a name a line, or a JSON list.

    Raises:
      PromptError: no such file, no names, or JSON that is not a list of strings.
    """
    if pathlib.Path(path).suffix != ".json":
        return [line for _, line in _read_lines(path, "classes must be a file")]
    try:
        names = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: classes cannot be read ({error})") from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise PromptError(f"{path}: must hold a JSON list of names, got {str(names)[:80]}")
    return names


def _read_lines(path: str, rule: str) -> list[tuple[int, str]]:
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: {rule}; it cannot be read ({error})") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise PromptError(f"{path}: {rule}; it has no lines")
    return lines
