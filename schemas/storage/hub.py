"""huggingface_hub's file system as jobs need it: a range of a file is one request, which is not tried again here.

Promises: the library's environment variables decide the endpoint and the token; what exists is asked of the hub each
time, so that a changed repository is noticed. Source: huggingface_hub 2.4, hf_file_system.py.
"""

from __future__ import annotations

import functools
from typing import Any

HUB_SCHEME = "hf"


@functools.cache
def hub_driver() -> Any:
    """Returns the driver: it takes `timeout_s`, how long the hub may be silent, and `forget`s what it was told."""
    from huggingface_hub import HfFileSystem, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    class Hub(HfFileSystem):
        def forget(self) -> None:
            self.dircache.clear()
            known = self._repo_and_revision_exists_cache
            for missing in [which for which, (is_there, _) in known.items() if not is_there]:
                del known[missing]

        def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
            # The library's own lists the file's folder first, which may have 10,000 files, and tries five times.
            found: Any = self.resolve_path(path)
            url = hf_hub_url(
                found.repo_id,
                found.path_in_repo,
                repo_type=found.repo_type,
                revision=found.revision,
                endpoint=self.endpoint,
            )
            headers = {**build_hf_headers(token=self.token), "Accept-Encoding": "identity"}
            if start is not None or end is not None:
                headers["Range"] = f"bytes={start or 0}-{'' if end is None else end - 1}"
            timeout_s = self.storage_options["timeout_s"]
            answer = get_session().get(url, headers=headers, timeout=timeout_s, follow_redirects=True)
            hf_raise_for_status(answer)
            data: bytes = answer.content
            return data if answer.status_code == 206 else data[start:end]  # a server may ignore the range

    return Hub
