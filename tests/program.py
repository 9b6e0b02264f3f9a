"""Running the real command in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Result:
    """How a run of the command ended."""

    status: int
    out: str
    err: str


def command(*arguments: object) -> list[str]:
    """The command line of the program as this environment runs it."""
    return [sys.executable, "-m", "facesets", *map(str, arguments)]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The scrubbed environment, with the sources of this checkout first."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), **(extra or {})}


def run(*arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run a command to its end."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        cwd=cwd,
        env=environment(env),
        timeout=240,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
