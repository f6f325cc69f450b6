"""Calls of the library `tokenizers` on a file from anywhere: what goes wrong is one error that names the file.

Promises: an error of the library, and a panic of its Rust code, is a ValueError of one sentence; what Rust prints about
a panic while a file is read is not shown. A file's own truncation and padding are off.

Does not: bound the time of a regular expression in a file.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from tokenizers import Tokenizer

# Read before anything is trained: they need the normaliser, unknown pieces and the special tokens.
_TRIALS = ["", "a b", "A photo of é, 猫 and 🙂\u200d.", "\x00 \ud7ff\u0301\U000e0041"]


def read_backend(content: str, where: str) -> Tokenizer:
    """Returns the tokenizer of a tokenizer.json, without its truncation and padding.

    Raises:
      ValueError: it is not one, or it fails on ordinary texts.
    """
    with _without_noise(), explained(where):
        backend = Tokenizer.from_str(content)
        backend.no_truncation()
        backend.no_padding()
        for special in (False, True):
            backend.encode_batch_fast(_TRIALS, add_special_tokens=special)
    return backend


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Converts the library's errors and Rust's panics to a ValueError that begins with `where`."""
    try:
        yield
    except TypeError:  # of a text that is no text
        raise
    except Exception as error:
        raise _unusable(where, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3's, of a panic in Rust; it cannot be imported
            raise
        raise _unusable(where, error) from error


def _unusable(where: str, error: BaseException) -> ValueError:
    reason = " ".join(str(error).split())[:200]
    return ValueError(
        f"{where}: the library tokenizers cannot use this file ({reason}); get it again, or another tokenizer"
    )


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Keeps back what is written to the standard error meanwhile; on success that is written afterwards."""
    if sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        usual = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.truncate(0)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(usual, 2)
            kept.seek(0)
            os.write(usual, kept.read())
            os.close(usual)
