"""`facesets immich-finish`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DebugOption, DryRunOption, JsonOption
from facesets.files import printable


def immich_finish(
    user: Annotated[
        str, typer.Argument(metavar="USER", help="As given to `immich-stage`.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="As given to `immich-stage`.")] = Path("immich"),
    cache: Annotated[
        Path | None, typer.Option(help="Where faces are kept. [default: OUT/USER.npz]", show_default=False)
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="The export whose face sets are known, and that new ones join. [default: OUT/USER.facesets]",
            show_default=False,
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="Where to note what is done. [default: OUT/USER.log]", show_default=False),
    ] = None,
    pack: Annotated[str | None, typer.Option(help="Model pack, as for `embed`.", show_default=False)] = None,
    provider: Annotated[
        str | None, typer.Option(help="Where models run, as for `embed`.", show_default=False)
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Embed what `immich-stage` staged for USER, and look for new people in it; with a log.

    Run it again after an outage, or when more was staged: what is done is not done again. Other flags of
    `embed` and `discover` are taken from facesets.toml.
    """
    from facesets.operations.immich_finish import immich_finish as run
    from facesets.operations.immich_finish import paths_for

    with console.stoppable() as stop:
        summary = run(
            paths_for(user, out, cache, export, log),
            pack,
            provider,
            dry_run=dry_run,
            now=lambda: datetime.now().astimezone().isoformat(timespec="seconds"),
            progress=console.PlainProgress(),
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
