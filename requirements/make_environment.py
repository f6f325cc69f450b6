"""Creates a virtual environment with locked packages, or leaves it alone if nothing changed.

    python3 requirements/make_environment.py .venv requirements/lock.txt --bare requirements/bare.txt --install-project
    python3 requirements/make_environment.py .venv-dataflow requirements/dataflow.txt --on .venv

Uses uv if it is on the PATH, otherwise venv and pip. The environment is rebuilt only when the locked requirements,
setup.py or the Python change. One made `--on` another sees its packages and adds only what is missing. This file must
run on any `python3`: it uses only the standard library and syntax of Python 3.6, so that an old Python gets a clear
message instead of a syntax error.
"""

import argparse
import hashlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
MARKER = ".made-from"


def complain_about_python():
    """Returns one line that says why this Python cannot be used, or None."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        return "Python 3.11, 3.12 or 3.13 is needed, and {} is {}.{}: run `make PYTHON=/path/to/python3.12 ...`".format(
            sys.executable, *version
        )
    if not shutil.which("uv") and not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        return f"{sys.executable} lacks the venv module: install it (on Debian: apt install python3-venv) or install uv"
    return None


def digest(requirements, install_project, base=None, bare=None):
    """Returns one hash of what the environment is built from: the files' contents and the Python."""
    # Whatever Python runs this, an environment on another one has that one's.
    python = str((base / "bin" / "python").resolve()) if base else sys.executable
    ingredients = hashlib.sha256(sys.version.encode() + python.encode())
    paths = [requirements] + ([pathlib.Path("setup.py")] if install_project else []) + ([bare] if bare else [])
    if base and (base / MARKER).exists():
        paths.append(base / MARKER)
    for path in paths:
        ingredients.update(path.read_bytes())
    return ingredients.hexdigest()


def see(environment, base):
    """Makes the packages of another environment importable in this one, those that it has installed editable, too."""
    (packages,) = environment.glob("lib/python*/site-packages")
    (others,) = base.absolute().glob("lib/python*/site-packages")
    (packages / "base.pth").write_text(f"import site; site.addsitedir({str(others)!r})\n")


def make(environment, requirements, install_project, base=None, bare=None):
    """Builds the environment from scratch."""
    if environment.exists():
        shutil.rmtree(str(environment))
    python = str(environment / "bin" / "python")
    if shutil.which("uv") and install_project:
        subprocess.check_call(["uv", "venv", "--quiet", "--python", sys.executable, str(environment)])
        install = ["uv", "pip", "install", "--quiet", "--python", python]
    else:
        subprocess.check_call([sys.executable, "-m", "venv", str(environment)])
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if base:
        see(environment, base)
    subprocess.check_call([*install, "-r", str(requirements)])
    if bare:
        subprocess.check_call([*install, "--no-deps", "-r", str(bare)])
    if install_project:
        subprocess.check_call([*install, "--no-deps", "-e", "."])


def main():
    """Command line; exits with status 1 and one line if this Python cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", type=pathlib.Path)
    parser.add_argument("requirements", type=pathlib.Path)
    parser.add_argument("--install-project", action="store_true", help="also install this project, editable")
    parser.add_argument("--bare", type=pathlib.Path, metavar="FILE", help="also install these, without dependencies")
    parser.add_argument("--on", type=pathlib.Path, metavar="ENVIRONMENT", help="see the packages of this one, too")
    arguments = parser.parse_args()
    complaint = complain_about_python()
    if complaint:
        sys.exit(complaint)
    marker = arguments.environment / MARKER
    wanted = digest(arguments.requirements, arguments.install_project, arguments.on, arguments.bare)
    if marker.exists() and marker.read_text() == wanted:
        return
    print(f"setting up {arguments.environment} (once; the first time takes some minutes)", flush=True)
    try:
        make(arguments.environment, arguments.requirements, arguments.install_project, arguments.on, arguments.bare)
    except subprocess.CalledProcessError as error:
        sys.exit(
            "setting up {} failed: `{}` exited with status {}".format(
                arguments.environment, " ".join(map(str, error.cmd)), error.returncode
            )
        )
    # Written last, so that an interrupted set-up is repeated.
    marker.write_text(wanted)


if __name__ == "__main__":
    main()
