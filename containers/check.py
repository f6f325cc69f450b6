"""Checks an image while it is built: `python containers/check.py --beam 2.77.0 --accelerator cuda`.

Everything that a worker imports is imported, Beam is of the boot program's version, JAX has the accelerator's plugin.
A build has no accelerator, so whether JAX finds one is left to the workers, which refuse to embed without it.
"""

import argparse
import importlib
import importlib.util
import os
import platform
import subprocess
import sys

BOOT = "/opt/apache/beam/boot"
MODULES = (
    "apache_beam.runners.worker.sdk_worker_main",
    "google.cloud.dataflow",
    "gcsfs",
    "s3fs",
    "tensorflow",
    "lit_precompute.commands.embed",
    "lit_precompute.pipelines.embed.workers.unit",
    *(["simplejpeg"] if platform.machine() == "x86_64" else []),
)
PLUGINS = {"cpu": (), "cuda": ("jax_plugins.xla_cuda12", "jax_cuda12_plugin"), "tpu": ("libtpu",)}


def main():
    """Exits with what is wrong, one line for each fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--beam", required=True)
    parser.add_argument("--accelerator", choices=PLUGINS, required=True)
    given = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    faults = []
    for module in MODULES:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 -- every fault is listed
            faults.append(f"import {module}: {type(error).__name__}: {error}")
    faults += [f"JAX lacks {module}" for module in PLUGINS[given.accelerator] if not importlib.util.find_spec(module)]
    import apache_beam

    if apache_beam.__version__ != given.beam:
        faults.append(f"apache-beam is {apache_beam.__version__}, boot is {given.beam}")
    if not os.access(BOOT, os.X_OK):
        faults.append(f"{BOOT} is missing")
    if subprocess.run([sys.executable, "-m", "pip", "check"], check=False).returncode:
        faults.append("pip check: packages do not fit together")
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
