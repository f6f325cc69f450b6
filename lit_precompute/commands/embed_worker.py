"""`lit-embed-worker`: a worker that a Spark or Flink cluster starts on its machines; see docs/engines.md."""

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Works until the engine ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("id", "provision_endpoint"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("control_endpoint", "logging_endpoint", "artifact_endpoint", "semi_persist_dir"):
        parser.add_argument(f"--{name}", default="")
    given = parser.parse_args(arguments)
    from lit_precompute.pipelines.engines.boot import work

    work(
        given.id.strip("'"),  # Prism quotes it for a shell, and there is none
        given.provision_endpoint,
        control_endpoint=given.control_endpoint,
        logging_endpoint=given.logging_endpoint,
    )


if __name__ == "__main__":
    main()
