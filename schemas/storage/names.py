"""Names: a dataset's files, and what is a path or a URL. Nothing is opened here."""

import os
import re

MANIFEST_NAME = "manifest.json"
JOB_REPORT_NAME = "job-report.json"  # how the job that made a dataset went: beside the dataset, and no part of it
HOW_TO_MEND = "fetch it again from a copy (lit-data repair --from), or embed again into another --output"
WORK_FOLDER = "_work"  # of an unfinished job; removed once the manifest is published

# pathlib turns "gs://bucket" into "gs:/bucket". Without a slash only a well-known one: "run:1" is a local name.
_SCHEME = re.compile(
    r"([a-z][a-z0-9+.-]+):/|(abfss?|adl|az|file|ftp|gcs|gs|hdfs|hf|https?|memory|oss|r2|s3a?|sftp|ssh):", re.IGNORECASE
)
_DRIVE = re.compile(r"([a-z]:)([/\\]|$)", re.IGNORECASE)


class DatasetError(ValueError):
    """A dataset, or data to be written to one, breaks a rule of the format (docs/format.md)."""


def is_url(path: str) -> bool:
    """Returns whether a path is opened through fsspec, not as a local file."""
    return "://" in path


def refuse_url(what: str, path: str | os.PathLike[str]) -> None:
    """Refuses a URL where only a local path can be used so far.

    Args:
      what: what the path is, for the message: `--output`, `dataset`.
      path: the path.

    Raises:
      DatasetError: it is a URL, or on a drive of Windows; as a path, it would be a local folder named `gs:` or `C:`.
    """
    refuse_drive(what, os.fspath(path))
    if match := _SCHEME.match(os.fspath(path)):
        scheme = match[1] or match[2]
        hint = "leave out file://" if scheme == "file" else "only datasets, sources and weights are read in a store"
        raise DatasetError(f"{what} {os.fspath(path)}: must be a local path, got a {scheme}:// address; {hint}")


def refuse_drive(what: str, path: str) -> None:
    """Raises DatasetError for a path on a drive of Windows; it would be a local folder named `C:`."""
    if match := _DRIVE.match(path):
        raise DatasetError(
            f"{what} {path}: must be a path of this machine, got the drive {match[1]} of Windows; "
            f"write ./{path} if this is its name here"
        )


def not_quite_a_url(path: str) -> str:
    """Returns what to write instead of what looks like a URL, and is none: gs:/b, GS://b or s3n://b; "" otherwise."""
    scheme, is_there, rest = path.partition("://")
    if is_there:
        if scheme.lower() == "s3n":
            return f"s3n:// is Hadoop's old name of s3://; write s3://{rest}"
        return f"write {scheme.lower()}://{rest}" if _SCHEME.match(path) and scheme != scheme.lower() else ""
    if (match := _SCHEME.match(path)) is None:
        return ""
    scheme = match[1] or match[2]
    meant = f"{scheme.lower()}://{path[len(scheme) + 1 :].lstrip('/')}"
    return f"a URL has two slashes after {scheme}:; write {meant}, or ./{path} if this is its name here"


def beside(file: str, path: str) -> str:
    """Returns `path`, taken relative to the folder of `file` unless it is absolute or has a scheme of its own."""
    folder, slash, _ = file.rpartition("/")
    if path.startswith("/") or is_url(path):
        return path
    return f"{folder}{slash}{path}"
