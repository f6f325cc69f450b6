"""The package that opens a store's URLs: workers need the same as the launcher."""


def driver_module(url: str) -> str:
    """Returns the top-level module that fsspec imports to open a URL: `gcsfs`, `s3fs`; "" if fsspec opens it itself.

    Of a chain (simplecache::s3://bucket/file) it is the last one's.
    """
    from fsspec.registry import known_implementations

    scheme, is_scheme, _ = url.rpartition("::")[2].partition("://")
    if not is_scheme or scheme not in known_implementations:
        return ""
    module = known_implementations[scheme]["class"].partition(".")[0]
    return "" if module == "fsspec" else module
