"""A worker process of a local runner, as `python -m lit_precompute.pipelines.engines.worker LEVEL`.

Beam's own worker program, but it logs only what is at least of the launcher's level, and prints no stacks, which the
launcher reports in words.
"""

import logging
import sys

from lit_precompute.pipelines.embed.errors import without_stacks

if __name__ == "__main__":
    logging.disable(int(sys.argv[1]) - 1)  # before the import, which may log already
    from apache_beam.runners.worker import sdk_worker_main

    with without_stacks():
        sdk_worker_main.main(sys.argv)
