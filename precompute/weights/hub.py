"""Hugging Face's hub: what `hf://owner/name[@revision]/file` means, where its cache keeps it, and where it is fetched.

Promises: the cache is read as it lies on the disk, without the network and without huggingface_hub; the variables that
move it are the documented ones, read at each call. Nothing is ever written into it.

Source: huggingface.co/docs/huggingface_hub, "Manage your cache" and "Environment variables"; huggingface_hub 2.4,
constants.py and file_download.py (try_to_load_from_cache).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import urllib.parse

from precompute.weights.cache import is_plain_name
from precompute.weights.errors import WeightsError

SCHEME = "hf://"
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_DEFAULT_REVISION = "main"
_TRUE = ("1", "on", "yes", "true")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HubPlace:
    """A file of a model's repository.

    Attributes:
      repository: "owner/name".
      revision: a branch, a tag or a commit.
      file: its path in the repository; "" for the repository's weights under whatever name.
    """

    repository: str
    revision: str
    file: str

    def url(self) -> str:
        """Returns where it is fetched; `HF_ENDPOINT` names a mirror."""
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        revision = urllib.parse.quote(self.revision, safe="")
        return f"{endpoint}/{self.repository}/resolve/{revision}/{urllib.parse.quote(self.file)}"

    def snapshot(self) -> pathlib.Path | None:
        """Returns the folder of this revision in Hugging Face's cache; None where the cache does not have it."""
        folder = hub_cache() / ("models--" + self.repository.replace("/", "--"))
        reference = folder / "refs" / self.revision
        # A branch's or tag's file holds its commit; a commit has none.
        commit = reference.read_text("utf-8").strip() if reference.is_file() else self.revision
        snapshot = folder / "snapshots" / commit
        return snapshot if _is_plain(commit) and snapshot.is_dir() else None


def parse_hub_place(place: str) -> HubPlace:
    """Returns what `hf://owner/name[@revision][/file]` names; a slash in a revision is written %2F.

    Raises:
      WeightsError: it is not of this form.
    """
    owner, _, rest = place.removeprefix(SCHEME).partition("/")
    name, _, file = rest.partition("/")
    name, _, revision = name.partition("@")
    revision = urllib.parse.unquote(revision) or _DEFAULT_REVISION
    repository = f"{owner}/{name}"
    if (
        not _REPOSITORY.fullmatch(repository)
        or not _is_plain(revision)
        or not all(is_plain_name(part) for part in file.split("/") if file)
    ):
        raise WeightsError(f"{place}: must be hf://owner/name/file, or hf://owner/name@revision/file")
    return HubPlace(repository=repository, revision=revision, file=file)


def hub_cache() -> pathlib.Path:
    """Returns the folder of Hugging Face's cache."""
    variables = os.environ
    default_home = os.path.join(variables.get("XDG_CACHE_HOME", os.path.join("~", ".cache")), "huggingface")  # noqa: PTH118
    home = variables.get("HF_HOME", default_home)
    cache = variables.get("HF_HUB_CACHE") or variables.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    return pathlib.Path(os.path.expandvars(cache)).expanduser()


def is_offline() -> bool:
    """Returns whether the user has told Hugging Face's libraries to leave the network alone."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.lower() in _TRUE


def hub_headers() -> dict[str, str]:
    """Returns what a request to the hub carries: the user's token, where there is one, for models behind a licence."""
    token = os.environ.get("HF_TOKEN", "").strip()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _is_plain(path: str) -> bool:
    """Returns whether a relative path stays below where it starts."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") for part in parts) and "\\" not in path and path.isprintable()
