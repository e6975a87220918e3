"""A virtual environment for what only the benchmarks need, made when first asked for.

The product never sees it: no process mixes its packages with these. Delete `bench/.work/venv` to make it anew.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "bench" / ".work"
REQUIREMENTS = ROOT / "bench" / "requirements.txt"
FOLDER = WORK / "venv"
STAMP = FOLDER / "requirements.sha256"


def python() -> Path:
    """The interpreter of the benchmarks' own environment, installed first when it is missing or out of date.

    Raises CalledProcessError when a package cannot be fetched; what the installer says goes to standard error.
    """
    executable = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not STAMP.exists() or STAMP.read_text("ascii") != wanted:
        print(f"Installing what only the benchmarks need into {FOLDER.relative_to(ROOT)} ...", file=sys.stderr)
        venv.create(FOLDER, clear=True, with_pip=True)
        install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", str(REQUIREMENTS)]
        subprocess.run([str(executable), *install], check=True, stdout=sys.stderr)
        STAMP.write_text(wanted, "ascii")
    return executable


def program(name: str) -> Path:
    """A command that one of the packages brought."""
    return python().with_name(name)


if __name__ == "__main__":
    print(python())
