"""What the errors of s3fs and gcsfs mean, where the HTTP status and the type alone would mislead.

Credentials that expire during a job, or a bucket that is gone, are about no single object: they must not make every
row fail. Sources: s3fs 2026.9, errors.py; gcsfs 2026.9, retry.py.
"""

from typing import Any, Literal

Kind = Literal["missing", "refused", "later", "never"]

_S3_CODES: dict[str, Kind] = {
    "NoSuchKey": "missing",
    # With status 400 or 409: what arrived was not what was sent, came too late, or another request was first.
    **dict.fromkeys(
        (
            "BadDigest",
            "ConditionalRequestConflict",
            "IncompleteBody",
            "OperationAborted",
            "RequestTimeout",
            "XAmzContentChecksumMismatch",
            "XAmzContentSHA256Mismatch",
        ),
        "later",
    ),
    **dict.fromkeys(
        (
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidAccessKeyId",
            "InvalidToken",
            "NoSuchBucket",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "TokenRefreshRequired",
        ),
        "never",
    ),
}
_OF_CREDENTIALS = {code for code, kind in _S3_CODES.items() if kind == "never"} - {
    "NoSuchBucket",
    "RequestTimeTooSkewed",
}
# botocore's errors before any request, by name.
_WITHOUT_CREDENTIALS = {
    "CredentialRetrievalError",
    "LoginTokenLoadError",
    "NoAuthTokenError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
_FOR_S3 = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if they are temporary), or run `aws "
    "configure` (AWS_PROFILE names another profile); FSSPEC_S3_ANON=true reads a public bucket without credentials"
)
_FOR_GCS = (
    "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the path of a service "
    "account's key; without credentials only public buckets can be read"
)
# The hub tells nobody whether there is a private repository.
_FOR_HUB = (
    "there is no such repository, or it is private: check its name, and run `hf auth login` or set HF_TOKEN to the "
    "token of an account that may read it"
)
# botocore's, google-auth's and httpx's, by name: they are not ours to import. botocore's are not OSErrors.
_CONNECTION_NAMES = {"ConnectionError", "HTTPClientError", "TransportError"}


def s3_cause(error: Exception) -> Exception:
    """Returns botocore's error behind one that s3fs has translated; others unchanged."""
    cause = error.__cause__
    return cause if isinstance(cause, Exception) and _s3_code(cause) else error


def kind_in_store(error: Exception) -> Kind | None:
    """Returns the kind of an error that only a store raises; None for any other."""
    if code := _s3_code(error):
        return _S3_CODES.get(code)
    if _is_of_gcs(error) and type(error).__name__ == "ChecksumError":
        return "later"
    if _is_unauthorized(error):
        return "never"
    if any(one.__name__ in _CONNECTION_NAMES for one in type(error).__mro__):
        return "later"
    return None


def what_to_do(error: BaseException) -> str:
    """Returns what to do about an error of credentials, after a semicolon; "" for any other."""
    if _s3_code(error) in _OF_CREDENTIALS or type(error).__name__ in _WITHOUT_CREDENTIALS:
        return f"; {_FOR_S3}"
    if _is_refused_by_hub(error):
        return f"; {_FOR_HUB}"
    return f"; {_FOR_GCS}" if _is_unauthorized(error) else ""


def is_forbidden(error: BaseException | None) -> bool:
    """Returns whether an error is gcsfs's for the status 403, which it does not name."""
    return type(error) is OSError and str(error).startswith("Forbidden: ")


def words_in_store(error: BaseException) -> str:
    """Returns the store's word for an S3 error, such as " (ExpiredToken)"; "" for any other."""
    code = _s3_code(error)
    return f" ({code})" if code and not code.isdecimal() else ""


def _is_unauthorized(error: BaseException) -> bool:
    """Returns whether GCS wants credentials, or others."""
    return _is_of_gcs(error) and str(getattr(error, "code", "")) == "401"


def _is_refused_by_hub(error: BaseException) -> bool:
    response: Any = getattr(error, "response", None)
    return type(error).__module__.startswith("huggingface_hub") and getattr(response, "status_code", 0) in (401, 403)


def _is_of_gcs(error: BaseException) -> bool:
    return type(error).__module__.startswith("gcsfs")


def _s3_code(error: BaseException) -> str:
    response: Any = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
