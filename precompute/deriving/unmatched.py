"""Keys without a partner: how many are allowed, and all of them in a file."""

from __future__ import annotations

import contextlib
import pathlib
from types import TracebackType
from typing import TextIO

from lit_precompute.precompute.deriving.additions.addition import Addition
from lit_precompute.precompute.deriving.matching import Matches, Tell
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.limits import limit
from lit_precompute.schemas.sharing.unlike_keys import unlike_in_words
from lit_precompute.schemas.storage import publish, refuse_url, unique_name
from lit_precompute.schemas.wording import counted, one_line


class Unmatched:
    """A file with a line for each key that has no partner: table, `missing` or `surplus`, key, place; tabs between.

    A context manager: the file appears when it is left, also after an error.
    """

    def __init__(self, path: str | None):
        """Takes the path; None writes nothing.

        Raises:
          DatasetError: it is a URL.
        """
        self._path = None if path is None else pathlib.Path(path)
        if path is not None:
            refuse_url("--unmatched", path)
        self._file: TextIO | None = None

    def teller(self, table: str) -> Tell:
        """Returns what writes the keys of a table."""

        def tell(what: str, key: str, place: str) -> None:
            if self._file is not None:
                self._file.write("\t".join(map(one_line, (table, what, key, place))) + "\n")

        return tell

    def __enter__(self) -> Unmatched:
        """Opens the file under a temporary name."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = self._path.with_name(unique_name(f".{self._path.name}"))
            self._file = self._temporary.open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the file its name."""
        if self._file is not None and self._path is not None:
            self._file.close()
            with contextlib.closing(self._file):
                publish(self._temporary, self._path)


def check_limits(addition: Addition, matches: Matches, num_rows: int, options: DeriveOptions) -> None:
    """Refuses too many keys without a partner.

    Args:
      addition: what was matched.
      matches: how.
      num_rows: rows of the dataset.
      options: the limits.

    Raises:
      SourceError: there are more missing or surplus keys than allowed; says the first, and what to do.
    """
    where = addition.described()["path"]
    if addition.needs_all and matches.num_missing:
        raise SourceError(
            f"{where}: {counted(matches.num_missing, 'row')} of the dataset's {num_rows:,} are not in it, and each "
            f"needs its vector{_no_match(matches) or f': {_few(matches.first_missing, matches.num_missing)}'}"
        )
    if matches.num_missing > limit("--max-missing", options.max_missing, num_rows):
        if no_match := _no_match(matches):
            raise SourceError(f"{where}{no_match}; write its keys as the dataset's, or name their column: --key-column")
        raise SourceError(
            f"{where}: {counted(matches.num_missing, 'row')} of the dataset's {num_rows:,} are not in it, more than "
            f"--max-missing {options.max_missing}: {_few(matches.first_missing, matches.num_missing)}; complete it, or "
            f"allow them with --max-missing {matches.num_missing} (or a share, such as 5%): they get no "
            f"{_what(addition)}"
        )
    num_keys = matches.num_matched + matches.num_surplus
    if matches.num_surplus > limit("--max-surplus", options.max_surplus, num_keys):
        raise SourceError(
            f"{where}: {counted(matches.num_surplus, 'key')} of {num_keys:,} are not the dataset's, more than "
            f"--max-surplus {options.max_surplus}: {_few(matches.first_surplus, matches.num_surplus)}; is this the "
            f"file of this dataset? If so, leave them out with --max-surplus {matches.num_surplus} (or a share, such "
            "as 5%)"
        )


def _few(first: list[str], number: int) -> str:
    return ", ".join(map(one_line, first)) + (", ..." if number > len(first) else "")


def _no_match(matches: Matches) -> str:
    if matches.num_matched or matches.surplus_key is None:
        return ""
    words = unlike_in_words("the dataset's", matches.first_missing[0], "the file's", matches.surplus_key)
    return f": no key is in both: {words}"


def _what(addition: Addition) -> str:
    return {"labels": "label"}.get(addition.table.name, "text")
