"""Running the real command: within this process, or in one of its own where a test needs that."""

import io
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

import typer.main

from facesets.cli import console
from facesets.cli.app import main
from tests.fixtures.sessions import shared_sessions

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


def run_apart(*arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run a command to its end in a process of its own.

    For what a process does as it starts and ends: which libraries it loads and how, and what it leaves.
    """
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


def run(*arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run a command to its end, as `run_apart` but without the second that a process takes to start."""
    with ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        with ExitStack() as surroundings:
            surroundings.enter_context(patch.dict(os.environ, environment(env)))
            surroundings.enter_context(chdir(cwd or Path.cwd()))
            surroundings.enter_context(patch.object(sys, "argv", ["facesets", *map(str, arguments)]))
            surroundings.enter_context(patch.dict(vars(console.session), vars(console.Session())))
            surroundings.enter_context(patch.object(typer.main, "get_command", _command_tree))
            surroundings.enter_context(shared_sessions())
            surroundings.enter_context(_written_to(out, err))
            status = _status(main)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="surrogateescape"))
        return Result(status, *texts)


# Which each process makes once, from all commands and their options: half of what a short command takes.
_command_tree = cache(typer.main.get_command)


def _status(program: Callable[[], object]) -> int:
    """The status that a process would end with."""
    try:
        program()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except Exception:  # noqa: BLE001 - as the interpreter does it
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _written_to(out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """Let this process, its libraries and its children write to these files; there is nothing to read."""
    streams: list[Any] = [sys.stdin, sys.stdout, sys.stderr]
    for stream in streams[1:]:
        stream.flush()
    kept = [os.dup(number) for number in range(3)]
    with Path(os.devnull).open("rb") as nothing:
        for number, file in enumerate((nothing, out, err)):
            os.dup2(file.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, mode, closefd=False), encoding="utf-8", write_through=True)
        for number, mode in enumerate("rww")
    )
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, copy in enumerate(kept):
            os.dup2(copy, number)
            os.close(copy)
