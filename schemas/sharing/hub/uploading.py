"""Uploading a laid-out folder to the hub.

Promises: files of the dataset are committed before the manifest, in commits of a few hundred, so that nobody reads a
dataset that is not whole; what the hub has already is not sent again; at the end, every file is compared with what the
hub says that it holds. Another dataset's repository is refused.

huggingface_hub does the uploading. Its errors become `HubError`, a sentence with what to do.
"""

import contextlib
import hashlib
import pathlib
from collections.abc import Callable, Iterator, Sequence

import huggingface_hub
import huggingface_hub.errors

from lit_precompute.schemas.json_files import parse_json_object
from lit_precompute.schemas.sharing.hub.folder import HubFolder
from lit_precompute.schemas.storage import MANIFEST_NAME, DatasetError, file_sha256

_PREFIX = "hf://datasets/"
# Of httpx or httpx2, whichever the client uses.
_LOST = huggingface_hub.errors.HTTPError  # pyright: ignore[reportPrivateImportUsage]
_FILES_PER_COMMIT = 200  # the hub answers larger commits late


class HubError(ValueError):
    """The hub refused something, or did not answer."""


def repository_of(url: str) -> str:
    """Returns `OWNER/NAME` of hf://datasets/OWNER/NAME.

    Raises:
      DatasetError: it is not such a URL.
    """
    name = url.removeprefix(_PREFIX).strip("/")
    try:
        huggingface_hub.utils.validate_repo_id(name)
    except huggingface_hub.errors.HFValidationError as error:
        raise DatasetError(f"{url}: must be {_PREFIX}OWNER/NAME ({error})") from error
    if not url.startswith(_PREFIX) or name.count("/") != 1:
        raise DatasetError(f"{url}: must be {_PREFIX}OWNER/NAME, the address of a dataset repository on the hub")
    return name


def upload(
    folder: HubFolder,
    repository: str,
    *,
    is_private: bool = False,
    endpoint: str | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Uploads a laid-out folder and returns the commit that has all of it.

    Args:
      folder: what `lay_out` returned.
      repository: `OWNER/NAME`; it is created if it is not there.
      is_private: whether a new repository is private.
      endpoint: the hub's address; None for that of HF_ENDPOINT, or huggingface.co.
      report: called with the files that are committed, and all.

    Raises:
      DatasetError: the repository has another dataset, or does not hold what was sent.
      HubError: the hub refused it, or did not answer.
    """
    api = huggingface_hub.HfApi(endpoint=endpoint)
    with _in_words(repository), _without_bars():
        api.create_repo(repository, repo_type="dataset", private=is_private, exist_ok=True)
        _refuse_other_dataset(api, folder, repository)
        total, done = len(folder.files) + len(folder.last), 0
        for names in [*_batches(folder.files), folder.last]:
            _commit(api, folder, repository, names)
            done += len(names)
            report(done, total)
        return _check(api, folder, repository)


def _batches(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + _FILES_PER_COMMIT] for start in range(0, len(names), _FILES_PER_COMMIT)]


def _commit(api: huggingface_hub.HfApi, folder: HubFolder, repository: str, names: Sequence[str]) -> None:
    is_last = MANIFEST_NAME in names
    api.create_commit(
        repository,
        [huggingface_hub.CommitOperationAdd(name, str(folder.path / name)) for name in names],
        repo_type="dataset",
        commit_message=f"Embedding dataset {folder.manifest.digest[:12]}: {'the manifest' if is_last else 'files'}",
    )


def _refuse_other_dataset(api: huggingface_hub.HfApi, folder: HubFolder, repository: str) -> None:
    """Raises DatasetError if the repository has the manifest of another dataset."""
    if not api.file_exists(repository, MANIFEST_NAME, repo_type="dataset"):
        return
    path = api.hf_hub_download(repository, MANIFEST_NAME, repo_type="dataset")
    found = parse_json_object(pathlib.Path(path).read_bytes(), path, "publish to another repository").get("digest")
    if found != folder.manifest.digest:
        raise DatasetError(
            f"{_PREFIX}{repository}: has another dataset, of digest {found}; datasets never change: publish to another "
            "repository, or remove that one's files"
        )


def _check(api: huggingface_hub.HfApi, folder: HubFolder, repository: str) -> str:
    """Compares every file with what the hub says that it holds; returns the commit."""
    commit = api.repo_info(repository, repo_type="dataset").sha
    assert commit is not None
    entries = api.list_repo_tree(repository, recursive=True, revision=commit, repo_type="dataset")
    found = {entry.path: entry for entry in entries if isinstance(entry, huggingface_hub.RepoFile)}
    for name in [*folder.files, *folder.last]:
        path, entry = folder.path / name, found.get(name)
        if entry is None:
            raise DatasetError(f"{_PREFIX}{repository}/{name}: is missing after the upload; run the same command again")
        is_same = entry.lfs.sha256 == file_sha256(path) if entry.lfs else entry.blob_id == _git_hash(path)
        if not is_same:
            raise DatasetError(f"{_PREFIX}{repository}/{name}: the hub holds other bytes; run the same command again")
    return commit


def _git_hash(path: pathlib.Path) -> str:
    """Returns git's hash of a small file."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Switches off the client's own progress bars, a line for each file."""
    were_off = huggingface_hub.utils.are_progress_bars_disabled()
    huggingface_hub.utils.disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            huggingface_hub.utils.enable_progress_bars()


@contextlib.contextmanager
def _in_words(repository: str) -> Iterator[None]:
    where = f"{_PREFIX}{repository}"
    try:
        yield
    except huggingface_hub.errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise HubError(
                f"{where}: the hub refuses it ({status}); log in with `hf auth login`, or set HF_TOKEN to a token that "
                "may write there"
            ) from error
        message = error.server_message or str(error).partition("\n")[0]
        raise HubError(
            f"{where}: the hub answered {status} ({message}); run the same command again to resume"
        ) from error
    except (_LOST, RuntimeError) as error:  # RuntimeError: an upload that broke off
        raise HubError(
            f"{where}: the hub cannot be reached ({_cause(error)}); run the same command again to resume"
        ) from error


def _cause(error: BaseException) -> BaseException:
    """Returns the error that a broken upload had."""
    return error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
