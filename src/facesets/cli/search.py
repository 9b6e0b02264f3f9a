"""`facesets search`."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption, DebugOption, JsonOption, PackOption, ProviderOption
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options import IndexOptions

if TYPE_CHECKING:
    from facesets.settings import Settings
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.search import Dates, FaceHit


def search(
    person: Annotated[
        str | None, typer.Option(metavar="NAME", help="Photos that show this person.", show_default=False)
    ] = None,
    face: Annotated[
        Path | None,
        typer.Option(metavar="PHOTO", help="Faces similar to the largest on this photo.", show_default=False),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="Taken on this day or later.", show_default=False),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Taken on this day or earlier.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most results.")] = 20,
    database: DatabaseOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "cpu",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Find photos in the library by a person's name or by a face."""
    if (person is None) == (face is None):
        raise WrongUsage("Say what to search for: --person NAME or --face PHOTO.")
    from facesets import settings
    from facesets.cli.library import open_database
    from facesets.operations.search import search_by_person
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.search import Dates

    conf = settings.load()
    dates = Dates(since.date() if since else None, until.date() if until else None)
    with open_database(database, conf) as session:
        library = Library(session)
        if person is not None:
            images = search_by_person(library, person, dates, limit)
            console.show_list("images", images, "\n".join(printable(hit.path) for hit in images))
            return
        hits = _by_face(library, str(face), dates, limit, conf, (pack, provider))
    rows = [
        (f"{hit.cosine_similarity:.3f}", hit.name or hit.person or "-", printable(hit.path)) for hit in hits
    ]
    console.show_list("faces", hits, console.table(("similarity", "person", "path"), rows))


def _by_face(
    library: "Library",
    photo: str,
    dates: "Dates",
    limit: int,
    conf: "Settings",
    models: tuple[str | None, str],
) -> "list[FaceHit]":
    from facesets.cli.library import index_embedder
    from facesets.operations.search import search_by_face, wants_index

    pack, provider = models
    with console.stoppable() as stop, console.progress() as progress:
        embedder, _ = index_embedder(
            library.settings,
            IndexOptions(),
            conf,
            detection=(pack, None, None),
            provider=provider,
            ml_uri=None,
            progress=progress,
            stop=stop,
        )
    if wants_index(library):
        console.notice("Every face is compared: `facesets db index` makes this fast.")
    return search_by_face(library, embedder, photo, dates, limit)
