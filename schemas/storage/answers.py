"""What an error of a file system means: there is no such file, it is refused, try again later, or give up.

Promises: only a definite answer about one file (HTTP 404 or 410, a store's "no such object") says that it is missing,
and only a refusal of that one file (any other 4xx, a 3xx that leads nowhere, a status that HTTP does not know, a
malformed URL) that it cannot be read. fsspec raises FileNotFoundError for refused connections, too; the cause then
decides.
"""

from __future__ import annotations

import dataclasses
import errno
import ftplib
import http
import os
import socket
import ssl
from typing import Any

from lit_precompute.schemas.storage.object_stores import (
    Kind,
    is_forbidden,
    kind_in_store,
    s3_cause,
    what_to_do,
    words_in_store,
)
from lit_precompute.schemas.wording import chain_of

_MISSING = {404, 410}
# About the moment, not the file: a slow request, one that came too early, too many of them.
_LATER = {408, 425, 429}
_PROXY_REFUSES = 407
# Not EAI_AGAIN: that is a name server which does not answer.
_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_UNKNOWN_CLASSES = 600  # and above: no status of HTTP
_FTP_MISSING = "550"
_OF_STATUS = "ClientResponseError"  # aiohttp's
_REDIRECTED = "TooManyRedirects"  # aiohttp's and requests'
# For errors of these names, whose own words are internals or empty.
_WORDS = {
    _REDIRECTED: "the server redirects too often",
    "ClientPayloadError": "the connection ended early",
    **dict.fromkeys(("FSTimeoutError", "ReadTimeoutError", "ConnectTimeoutError"), "the server did not answer in time"),
}


class StorageError(OSError):
    """A server or store that does not answer, or cannot be used at all: not about the one file.

    Made as StorageError(errno.EIO, reason, URL), so that it can be pickled like every OSError.
    """

    def __str__(self) -> str:
        """Returns the URL and the reason."""
        return f"{self.filename}: {self.strerror}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """The meaning of an error.

    Attributes:
      kind: what to do about it.
      words: what happened.
      wait_s: for "later", how long the server asks to wait.
      is_unknown_host: whether the server's name is not known, which seldom passes: it is misspelt.
    """

    kind: Kind
    words: str
    wait_s: float = 0.0
    is_unknown_host: bool = False

    def as_error(self, url: str) -> OSError:
        """Returns the error to raise, whatever the file system."""
        if self.kind == "missing":
            return FileNotFoundError(errno.ENOENT, self.words, url)
        if self.kind == "refused":
            return PermissionError(errno.EACCES, self.words, url)
        return StorageError(errno.EIO, self.words, url)


def answer_of(error: Exception) -> Answer:
    """Returns the meaning of whatever a file system raised."""
    is_unknown_host = _is_unknown_host(error)
    error = _decisive(error)
    words, status = in_words(error) + what_to_do(error), http_status(error)
    if status is not None:
        kind = kind_in_store(error) or _kind_of_status(status, error)
        if kind == "missing" and words_in_store(error):
            words = "there is no such file"
        return Answer(kind=kind, words=words, wait_s=_retry_after_s(error))
    kind = kind_in_store(error) or _kind_of(error)
    if kind == "missing":
        words = "there is no such file"
    elif kind == "refused" and isinstance(error, ValueError) and not _is_bad_redirect(error):
        words = f"not a usable URL ({words})"
    return Answer(kind=kind, words=words, is_unknown_host=is_unknown_host)


def _kind_of(error: Exception) -> Kind:
    """Returns the kind of an error without an HTTP status."""
    if isinstance(error, ssl.CertificateError):  # a ValueError, too
        return "never"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "missing"
    if isinstance(error, ftplib.error_perm):
        return "missing" if str(error).startswith(_FTP_MISSING) else "refused"
    # ValueError: yarl's and aiohttp's, for a malformed URL or one that redirects to one.
    if isinstance(error, PermissionError | IsADirectoryError | ValueError) or _is_bad_redirect(error):
        return "refused"
    if type(error).__name__ == _REDIRECTED:
        return "refused"
    return "later" if _is_of_connection(error) else "never"


def in_words(error: BaseException) -> str:
    """Returns on one line what happened, in the words that every library has for it."""
    if (status := http_status(error)) is not None:
        return f"the server says {status} {_phrase(status)}".rstrip() + words_in_store(error)
    if words := _in_words_of_web(error):
        return words
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError):
        return _in_words_of_system(error)
    return " ".join(str(error).split()) or type(error).__name__


def _in_words_of_web(error: BaseException) -> str:
    """Returns the words for what aiohttp and fsspec raise without a status; "" for any other error."""
    if _is_unreadable(error):
        return "the server's answer is not HTTP"
    if _is_bad_redirect(error):
        return f"the server redirects to {getattr(error, 'url', error.args[0])!s:.200}"
    return _WORDS.get(type(error).__name__, "")


def _in_words_of_system(error: OSError) -> str:
    """Returns the system's words for an error, without "[Errno 111]" and aiohttp's details."""
    if type(error).__name__ in ("ClientConnectorError", "ClientConnectorDNSError"):
        reason: OSError = error.os_error  # pyright: ignore[reportAttributeAccessIssue] -- aiohttp's
        number = reason.errno or 0  # getaddrinfo's are negative
        return os.strerror(number) if number > 0 else _in_words_of_system(reason)
    plain = isinstance(error, StorageError) or type(error).__str__ is OSError.__str__
    words = error.strerror if plain and error.strerror else str(error)
    return " ".join(words.split()) or type(error).__name__


def http_status(error: BaseException | None) -> int | None:
    """Returns the HTTP status in an error of aiohttp, gcsfs, requests, httpx or botocore; None if there is none."""
    response: Any = getattr(error, "response", None)
    if _is_unreadable(error):
        return None  # but aiohttp's own 400
    if is_forbidden(error):
        return 403
    if isinstance(response, dict):  # botocore's
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        # Lazily: aiohttp's `code` warns that it is deprecated.
        places = ((one, name) for one in (error, response) for name in ("status", "status_code", "code"))
        found = next((getattr(one, name) for one, name in places if hasattr(one, name)), None)
    status = int(str(found)) if str(found).isdecimal() else 0
    # Other libraries' errors have numbers of their own below 300, such as gRPC's.
    return status if 300 <= status < 1000 or (status and type(error).__name__ == _OF_STATUS) else None


def _decisive(error: Exception) -> Exception:
    """Returns the error, or its cause if that says more."""
    error = s3_cause(error)
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return error
    # What made fsspec raise it: at https:// every error becomes a FileNotFoundError.
    says_more = http_status(cause) is not None or isinstance(cause, ValueError) or _is_of_connection(cause)
    return _decisive(cause) if says_more else error


def _kind_of_status(status: int, error: Exception) -> Kind:
    if status in _LATER or 500 <= status < _UNKNOWN_CLASSES:
        return "later"
    if status == _PROXY_REFUSES or type(error).__name__ == "ClientHttpProxyError":
        return "never"  # the proxy's answer, not the server's
    return "missing" if status in _MISSING else "refused"


def _is_unknown_host(error: Exception) -> bool:
    """Returns whether an error comes from a name that no name server knows."""
    looked_up = next((each for each in chain_of(error) if isinstance(each, socket.gaierror)), None)
    return looked_up is not None and looked_up.errno in _UNKNOWN_NAME


def _is_unreadable(error: BaseException | None) -> bool:
    """Returns whether aiohttp could not parse the answer, for example because it broke off."""
    cause = getattr(error, "__cause__", None)
    return type(error).__name__ == _OF_STATUS and type(cause).__module__ == "aiohttp.http_exceptions"


def _is_bad_redirect(error: BaseException) -> bool:
    """Returns whether aiohttp was redirected to what it does not open, such as file:///a or a malformed URL."""
    return any(one.__name__ == "RedirectClientError" for one in type(error).__mro__)


def _phrase(status: int) -> str:
    # The standard's, not the server's: a failure's message is the same whoever answers.
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _retry_after_s(error: BaseException) -> float:
    """Returns the seconds in the header Retry-After; 0 if it is missing or a date."""
    value = (getattr(error, "headers", None) or {}).get("Retry-After", "")
    return float(value) if str(value).isdecimal() else 0.0


def _is_of_connection(error: Exception) -> bool:
    """Returns whether an error is one of connections, which may be better in a moment."""
    import aiohttp  # a tenth of a second

    return isinstance(error, (OSError, EOFError, ftplib.Error, aiohttp.ClientError))
