"""Embeds sources one after the other in one process, and tells what each did; test_hostile.py checks it.

    python -m tests.faults.embed_hostile SANDBOX WEIGHTS SOURCE ...

Prints a JSON line for each: the command's status and words, the writes outside output and temporary files, and the
largest memory so far. The last line that is there tells what ended the process, if anything does.
"""

import contextlib
import io
import json
import os
import pathlib
import sys

from lit_precompute.commands import embed as command_line
from tests.memory import peak_bytes
from tests.pipelines.embed.making import arguments

# Of decoding: what is above is refused, and less than this is in flight.
_MAX_PIXELS = 20_000_000
_CHANGES = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main():
    sandbox, weights, *sources = sys.argv[1:]
    allowed = (f"{sandbox}/output/", f"{sandbox}/temporary/", "/dev/", "/proc/")
    strays = []

    def audit(event, given):
        if event == "open":
            path, _, flags = given
            changed = [path] if isinstance(path, str | bytes) and flags & _WRITING else []
        else:
            changed = [path for path in given[:2] if isinstance(path, str | bytes)] if event in _CHANGES else []
        for path in changed:
            written = pathlib.Path(os.fsdecode(path))
            if event in _CHANGES and not written.is_absolute():  # below a folder that is open, as rmtree does it
                continue
            real = os.path.abspath(written)  # noqa: PTH100 -- pathlib would follow links
            if not f"{real}/".startswith(allowed) and "__pycache__" not in real:
                strays.append(f"{event} {real}")

    sys.addaudithook(audit)
    answers = sys.stdout
    for source in sources:
        output = f"{sandbox}/output/{pathlib.Path(source).name}"
        options = {"max_pixels": _MAX_PIXELS, "max_pixels_in_flight": _MAX_PIXELS, "decode_in": "threads"}
        sys.argv = ["lit-embed", *arguments(pathlib.Path(source), output, weights, **options)]
        said, status = io.StringIO(), 0
        answers.write(json.dumps({"begun": source}) + "\n")
        answers.flush()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                command_line.main()
            except SystemExit as end:
                status = end.code
        answer = {"status": status, "said": " ".join(said.getvalue().split()), "strays": strays}
        answer["max_bytes"] = peak_bytes()
        answers.write(json.dumps(answer) + "\n")
        strays.clear()


if __name__ == "__main__":
    main()
