"""`facesets immich-stage`."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

from facesets.cli import console
from facesets.cli.opening import working
from facesets.cli.params import DatabaseOption
from facesets.cli.results import report
from facesets.operations.options.declaration import Option
from facesets.operations.options.immich import ServerOptions, StageOptions
from facesets.words import immich as words


def immich_stage(
    user: Annotated[str, Option("Name of the folder below --out. The key decides whose photos come.")],
    out: Annotated[Path, Option("Where to put the photos and the queue.")] = Path("immich"),
    *,
    access: ServerOptions,
    known: Annotated[
        tuple[Path, ...],
        Option("A cache whose content is not staged again; with several, of any of them."),
    ] = (),
    known_library: Annotated[
        bool,
        Option(
            "Do not stage what the library holds, if there is one.",
            flag="--known-library/--ignore-library",
        ),
    ] = True,
    database: DatabaseOption = None,
    options: StageOptions,
) -> None:
    """Fetch the photos with large faces from an Immich server, as a queue for `embed --queue`.

    Run it again to go on after an outage, or for what is new: nothing is fetched twice.
    """
    from facesets import settings
    from facesets.assembly.immich import access_to, known_content
    from facesets.operations.immich.stage import immich_stage as run
    from facesets.remote.immich import Immich

    conf = settings.load()
    where = access_to(conf, access, connections=options.workers)
    with (
        known_content(known, database, conf, console, library=known_library) as contents,
        working() as work,
        closing(Immich(where, stop=work.stop)) as server,
    ):
        done = run(server, out, user, options, contents, work=work)
    report(done, words.immich_stage(done, dry_run=options.dry_run))
