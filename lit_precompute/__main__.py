"""`python -m lit_precompute embed|tune|eval|data`: the commands lit-embed, lit-tune, lit-eval and lit-data."""

import sys

from lit_precompute.commands.entry_points import run
from lit_precompute.commands.huge_pages import restart_with_huge_pages
from lit_precompute.commands.pipes import quiet_when_pipe_closes

# Each command and its module.
_MODULES = {"embed": "embed", "tune": "tune", "eval": "evaluate", "data": "data"}
_USAGE = f"usage: python -m lit_precompute {{{','.join(_MODULES)}}} ...\n"
_HELP = f"""{_USAGE}
Runs lit-embed, lit-tune, lit-eval or lit-data. `python -m lit_precompute embed --help` shows the flags of lit-embed.
"""


@quiet_when_pipe_closes()
def main() -> None:
    """Runs the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("-h", "--help"):
        sys.stdout.write(_HELP)
        sys.exit(0)
    if name not in _MODULES:
        sys.stderr.write(f"error: command must be one of {', '.join(_MODULES)}, got {name!r}\n{_USAGE}")
        sys.exit(2)
    del sys.argv[1]
    run(_MODULES[name])


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
