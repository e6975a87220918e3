"""Virtual environments for what only the benchmarks need, made when first asked for.

The product never sees them: no process mixes its packages with these. Delete their folders below `bench/.work` to make them anew.
"""

import hashlib
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "bench" / ".work"


@dataclass(frozen=True)
class Environment:
    """The packages of one requirements file, in a folder of their own."""

    name: str
    requirements: str

    def python(self) -> Path:
        """The interpreter, installed first when it is missing or out of date.

        Raises CalledProcessError when a package cannot be fetched; what the installer says goes to standard error.
        """
        folder = WORK / self.name
        executable = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        requirements, stamp = ROOT / "bench" / self.requirements, folder / "requirements.sha256"
        wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text("ascii") != wanted:
            print(f"Installing {self.requirements} into {folder.relative_to(ROOT)} ...", file=sys.stderr)
            venv.create(folder, clear=True, with_pip=True)
            install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", str(requirements)]
            subprocess.run([str(executable), *install], check=True, stdout=sys.stderr)
            stamp.write_text(wanted, "ascii")
        return executable

    def program(self, name: str) -> Path:
        """A command that one of the packages brought."""
        return self.python().with_name(name)


TOOLS = Environment("venv", "requirements.txt")
OPEN_WEBUI = Environment("open-webui", "requirements-open-webui.txt")

if __name__ == "__main__":
    print(TOOLS.python())
