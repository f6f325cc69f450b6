"""The fields of a JSON file that describes a tower: each is read with its type and its default, and none is overlooked.

Promises: a field that nobody reads and that is not known to change nothing is refused by name, since it may change what
the tower computes; so is a value that this library's network does not have.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from lit_precompute.towers.options import OptionsError

Value = TypeVar("Value")

# Of every `config.json` of Hugging Face, as a regular expression: what changes no embedding, since it is about
# training, tasks, generation or the file itself. A family takes first what it has a rule for.
UNCHANGING = (
    r"_.*|architectures|model_type|transformers_version|(torch_)?dtype|auto_map|attn_implementation|name_or_path"
    r"|.*dropout(_prob|_rate)?|layerdrop|initializer_(range|factor)|gradient_checkpointing|chunk_size_feed_forward"
    r"|id2label|label2id|num_labels|problem_type|finetuning_task|task_specific_params|tokenizer_class|prefix|torchscript"
    r"|(use_)?return_dict(_in_generate)?|output_(attentions|hidden_states|scores|past)|use_(bfloat16|cache)"
    r"|tie_(word_embeddings|encoder_decoder|weights_)|is_(decoder|encoder_decoder)|add_cross_attention"
    r"|cross_attention_hidden_size|pruned_heads|tf_legacy_loss|.*_token_id|(max|min)_length|do_sample|early_stopping"
    r"|num_(beams|beam_groups|return_sequences)|temperature|top_[kp]|typical_p|diversity_penalty"
    r"|(repetition|length)_penalty|(encoder_)?no_repeat_ngram_size|bad_words_ids|remove_invalid_values"
    r"|exponential_decay_length_penalty|suppress_tokens|begin_suppress_tokens|forced_.*"
)


class Fields:
    """A JSON object whose fields are taken one by one; null is as good as absent."""

    def __init__(self, content: Mapping[str, Any], where: str):
        """Takes the object, and what errors call it."""
        self._left = {name: value for name, value in content.items() if value is not None}
        self.where = where

    def __contains__(self, name: str) -> bool:
        """Returns whether a field is there, and not yet taken."""
        return name in self._left

    def number(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """Takes a whole number; without a default it must be there.

        Raises:
          OptionsError: it is something else, or too small.
        """
        value = self._left.pop(name, default)
        if type(value) is not int or value < least:
            raise self.error(name, f"a whole number >= {least}", value)
        return value

    def numbers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Takes a list of whole numbers of at least 1."""
        value = self._left.pop(name, default)
        if not isinstance(value, list | tuple) or not all(type(each) is int and each >= 1 for each in value):
            raise self.error(name, "a list of whole numbers >= 1", value)
        return tuple(value)

    def real(self, name: str, default: float) -> float:
        """Takes a number that is not negative."""
        value = self._left.pop(name, default)
        if type(value) not in (int, float) or not 0 <= value < float("inf"):
            raise self.error(name, "a number >= 0", value)
        return float(value)

    def reals(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Takes a number for each of the three channels, or one for all of them."""
        value = self._left.pop(name, default)
        if type(value) in (int, float):
            value = (value,) * 3
        if not isinstance(value, list | tuple) or len(value) != 3 or not {*map(type, value)} <= {int, float}:
            raise self.error(name, "one number or three", value)
        if not all(map(math.isfinite, value)):
            raise self.error(name, "finite", value)
        return tuple(map(float, value))

    def flag(self, name: str, *, default: bool) -> bool:
        """Takes true or false."""
        value = self._left.pop(name, default)
        if not isinstance(value, bool):
            raise self.error(name, "true or false", value)
        return value

    def choice(self, name: str, choices: Mapping[Any, Value], default: Any) -> Value:
        """Takes one of some values; returns what it stands for here."""
        value = self._left.pop(name, default)
        if isinstance(value, dict | list) or value not in choices:
            raise self.error(name, " or ".join(map(repr, choices)), value)
        return choices[value]

    def require(self, name: str, *allowed: Any) -> None:
        """Takes a field whose other values ask for a network that is not here.

        Raises:
          OptionsError: it is there and has another value.
        """
        if name in self._left and (value := self._left.pop(name)) not in allowed:
            raise self.error(name, " or ".join(map(repr, allowed)) or "null", value)

    def take(self, name: str, default: Any) -> Any:
        """Takes a field of any type."""
        return self._left.pop(name, default)

    def part(self, name: str) -> Fields:
        """Takes an object within this one; an absent one has all defaults."""
        value = self._left.pop(name, {})
        if not isinstance(value, dict):
            raise self.error(name, "an object", value)
        return Fields(value, f"{self.where}: {name}")

    def ignore(self, names: str) -> None:
        """Drops the fields whose names match a regular expression."""
        self._left = {name: value for name, value in self._left.items() if not re.fullmatch(names, name)}

    def close(self) -> None:
        """Raises OptionsError if a field is left."""
        for name, value in sorted(self._left.items()):
            raise OptionsError(
                f"{self.where}: {name} is not known, and may change what the tower computes, got {value!r:.80}; if it "
                "does not, remove it from a copy of the file"
            )

    @contextlib.contextmanager
    def named_errors(self) -> Iterator[None]:
        """Makes the errors of what is made of the fields name the file."""
        try:
            yield
        except OptionsError:
            raise  # of the fields themselves
        except ValueError as error:
            raise OptionsError(f"{self.where}: {error}") from error

    def error(self, name: str, rule: str, value: Any) -> OptionsError:
        """Returns the error that a field breaks a rule."""
        return OptionsError(f"{self.where}: {name} must be {rule}, got {value!r:.80}")
