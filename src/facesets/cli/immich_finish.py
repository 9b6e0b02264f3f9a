"""`facesets immich-finish`."""

import io
import json as json_format
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from facesets.cli import console
from facesets.errors import FacesetsError
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun


def immich_finish(
    context: typer.Context,
    user: Annotated[
        str, typer.Argument(metavar="USER", help="As given to `immich-stage`.", show_default=False)
    ],
    out: Annotated[Path, Option("As given to `immich-stage`.")] = Path("immich"),
    cache: Annotated[Path | None, Option("Where faces are kept.", unset="OUT/USER.npz")] = None,
    export: Annotated[
        Path | None,
        Option(
            "The export whose face sets are known, and that new ones join.",
            unset="export under [immich] in facesets.toml, else OUT/USER.facesets",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        Option("Where to note what is done.", unset="OUT/USER.log"),
    ] = None,
    pack: Annotated[str | None, Option("Model pack, as for `embed`.")] = None,
    provider: Annotated[str | None, Option("Where models run, as for `embed`.")] = None,
    landmarks: Annotated[
        bool, Option("Find landmarks and pose in the same pass.", flag="--landmarks/--no-landmarks")
    ] = True,
    dry_run: DryRun = False,
) -> None:
    """Embed what `immich-stage` staged for USER, and look for new people in it; with a log.

    Run it again after an outage, or when more was staged: what is done is not done again. Other flags of
    `embed` and `discover` are taken from facesets.toml.
    """
    from facesets import settings
    from facesets.operations.immich.finish import immich_finish as run
    from facesets.operations.immich.finish import paths_for

    with console.stoppable() as stop:
        summary = run(
            paths_for(user, out, cache, export or settings.load().immich_export, log),
            pack,
            provider,
            lambda arguments, say: _run_command(context, arguments, say),
            landmarks=landmarks,
            dry_run=dry_run,
            now=lambda: datetime.now().astimezone().isoformat(timespec="seconds"),
            progress=console.plain_progress(),
            stop=stop,
        )
    console.show(
        summary,
        [
            *(
                f"{step.name}: {step.state}" + (f" in {step.seconds:g} s" if step.seconds else "")
                for step in summary.steps
            ),
            summary.next if dry_run else f"{summary.next} The log is {printable(summary.log)}.",
        ],
    )
    console.finish()
    if summary.status:
        raise typer.Exit(summary.status)


class _Lines(io.TextIOBase):
    """A stream that passes on each whole line, with the stream that it stands in for in its place."""

    def __init__(self, say: Callable[[str], None], stream: Any) -> None:  # noqa: ANN401 - sys.stderr's type
        self._say = say
        self._stream = stream
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        with redirect_stderr(self._stream):
            for line in lines:
                self._say(line)
        return len(text)


def _run_command(
    context: typer.Context, arguments: Sequence[str], say: Callable[[str], None]
) -> tuple[int, Mapping[str, Any]]:
    """Run a command of this program as if it had been typed, and return its status and its summary.

    It runs in this process: whatever ends this one ends the command too.
    """
    name, *rest = arguments
    root = context.find_root()
    command = root.command.commands[name]  # type: ignore[attr-defined]
    before = replace(console.session)
    answer, status = io.StringIO(), 0
    try:
        with redirect_stdout(answer), redirect_stderr(_Lines(say, sys.stderr)):
            try:
                with command.make_context(name, [*rest, "--json"], parent=root) as own:
                    command.invoke(own)
            except typer.Exit as end:
                status = end.exit_code
            except FacesetsError as error:
                console.notice(f"facesets: {error}")
                status = error.exit_status
    finally:
        session = console.session
        session.json, session.debug, session.quiet = before.json, before.debug, before.quiet
    text = answer.getvalue()
    return status, json_format.loads(text) if text else {}
