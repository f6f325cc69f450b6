"""Class names and prompts: canonical text, lists of templates, files of either.

Promises: the canonical form and the lists are those behind LiT's published figures. A prompt contains the first alias
of a class name (the part before a comma). Two classes may have the same name, as two pairs of ImageNet classes do
(missile, sunglasses): both keep their number, and since the first wins every tie, the second is never predicted.

Source: big_vision, evaluators/proj/image_text/prompt_engineering.py; CLIP's prompts, arXiv:2103.00020.
"""

import functools
import json
import pathlib
import re
import string
from collections.abc import Sequence

from lit_precompute.schemas.json_files import why_not_json

# CLIP's 80 templates for ImageNet, grouped by form; "{}" alone is LiT's 81st.
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


# Not Unicode's other line separators, which occur inside names.
_LINE_END = re.compile(r"\r\n|\r|\n")


class PromptError(ValueError):
    """A file of classes or templates cannot be used; the message gives the place, the rule and the value."""


def canonical(text: str, *, keep: str = "") -> str:
    """Returns a text as prompts have it: lower case, no underscores, no ASCII punctuation except `keep`."""
    stripped = text.replace("_", " ").translate({ord(mark): None for mark in string.punctuation if mark not in keep})
    return " ".join(stripped.lower().split())


def class_name(name: str) -> str:
    """Returns the name of a class in prompts: its first alias, canonical."""
    return canonical(name.split(",", maxsplit=1)[0])


def make_prompts(name: str, templates: tuple[str, ...]) -> list[str]:
    """Returns the prompts of a class, one per template."""
    alias = class_name(name)
    return [_canonical_template(template).replace("{}", alias) for template in templates]


@functools.cache
def _canonical_template(template: str) -> str:
    return canonical(template, keep="{}")


def read_templates(name_or_file: str) -> tuple[str, ...]:
    """Returns a named list of templates, or the lines of a file.

    Raises:
      PromptError: neither a name nor a file, or a line does not contain {} exactly once.
    """
    if name_or_file in TEMPLATES:
        return TEMPLATES[name_or_file]
    lines = _read_lines(name_or_file, f"templates must be one of {', '.join(TEMPLATES)} or a file")
    for number, line in lines:
        _check_template(line, f"{name_or_file}, line {number}")
    return tuple(line for _, line in lines)


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Returns the templates.

    Raises:
      PromptError: there is none, or one does not contain {} exactly once.
    """
    if not templates:
        raise PromptError("there must be at least one template, got none")
    for number, template in enumerate(templates):
        _check_template(template, f"template {number}")
    return tuple(templates)


def _check_template(template: str, where: str) -> None:
    if template.count("{}") != 1:
        raise PromptError(f"{where}: a template must contain {{}} exactly once, got {template!r}")


def read_classes(path: str) -> list[str]:
    """Returns class names in the order of their numbers, from a file with one per line or a JSON list.

    Raises:
      PromptError: the file does not exist, has no names, or is JSON but not a list of strings.
    """
    if pathlib.Path(path).suffix.lower() != ".json":
        return [line for _, line in _read_lines(path, "classes must be a file")]
    try:
        names = json.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PromptError(f"{path}: classes cannot be read ({error})") from error
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{path}: classes cannot be read ({why_not_json(error)})") from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise PromptError(f"{path}: must contain a JSON list of names, got {str(names)[:80]}")
    return names


def _read_lines(path: str, rule: str) -> list[tuple[int, str]]:
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: {rule}; it cannot be read ({error})") from error
    lines = [(number, line.strip()) for number, line in enumerate(_LINE_END.split(text), 1) if line.strip()]
    if not lines:
        raise PromptError(f"{path}: {rule}; it has no lines")
    return lines
