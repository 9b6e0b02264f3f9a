"""`facesets search`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.params import (
    ClipPackOption,
    DatabaseOption,
    MlUriOption,
    PackOption,
    ProviderOption,
)
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.library import SearchOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.operations.library.search import Box, FaceSearch, Which
    from facesets.store.postgres.search import SimilarImage


def search(
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT]", help="What the photos show, in words.", show_default=False),
    ] = None,
    *,
    options: SearchOptions,
    database: DatabaseOption = None,
    ml_uri: MlUriOption = None,
    pack: PackOption = None,
    clip_pack: ClipPackOption = None,
    provider: ProviderOption = "cpu",
) -> None:
    """Find photos in the library by words, by another photo, by a face or by a person's name."""
    if sum(what is not None for what in (text, options.like, options.face)) > 1:
        raise WrongUsage(
            "Search by one of TEXT, --like and --face at a time; --person and dates go with each."
        )
    of_face = options.box is not None or options.all_faces or options.min_similarity is not None
    if options.face is None and of_face:
        raise WrongUsage("--box, --all-faces and --min-similarity go with --face PHOTO.")
    by_name = options.person is not None and text is None and options.like is None and options.face is None
    if options.age is not None and not by_name:
        raise WrongUsage("--age goes with --person NAME alone.")
    which = _which(options.box, every=options.all_faces)
    from facesets import settings
    from facesets.assembly.describing import Asked, encoders, face_embedder
    from facesets.assembly.stores import open_database
    from facesets.operations.library.search import (
        search_by_face,
        search_by_person,
        search_by_text,
        search_like,
        wants_index,
    )
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.search import Dates

    conf = settings.load()
    dates = Dates(options.since, options.until)
    asked = Asked((pack, None, None), clip_pack, provider, ml_uri)
    with open_database(database, conf, console) as session, console.stoppable() as stop:
        library = Library(session)
        if options.face is not None:
            with console.progress() as progress:
                embedder = face_embedder(library, conf, asked, console, progress, stop)
            if wants_index(library):
                console.notice("Every face is compared: `facesets db index` makes this fast.")
            _show_faces(
                search_by_face(
                    library,
                    embedder,
                    str(options.face),
                    dates,
                    options.limit,
                    person=options.person,
                    which=which,
                    min_cosine_similarity=options.min_similarity,
                ),
                options.face,
            )
        elif text is not None or options.like is not None:
            row, of_text, of_picture = encoders(library, conf, asked, stop)
            if wants_index(library, row):
                console.notice("Every image is compared: `facesets db index` makes this fast.")
            if options.like is not None:
                found = search_like(
                    library, row, of_picture, str(options.like), dates, options.limit, person=options.person
                )
            else:
                found = search_by_text(
                    library, row, of_text, text or "", dates, options.limit, person=options.person
                )
            _show_images(found)
        elif options.person is not None:
            images = search_by_person(library, options.person, dates, options.limit, ages=options.age)
            _show("images", images, "\n".join(printable(hit.path) for hit in images))
        else:
            raise WrongUsage("Say what to search for: TEXT, --like PHOTO, --face PHOTO or --person NAME.")


def _which(box: str | None, *, every: bool) -> "Which":
    from facesets.operations.library.search import Which

    if box is None:
        return Which(every=every)
    if every:
        raise WrongUsage("--box is one face, --all-faces every one: give one of them.")
    try:
        left, top, right, bottom = map(float, box.split(","))
    except ValueError as error:
        raise WrongUsage(f"--box {box} is no box: give four numbers, such as 10,20,110,140.") from error
    return Which((left, top, right, bottom))


def _show_faces(found: "FaceSearch", photo: Path) -> None:
    several = len(found.asked) > 1
    if len(found.on_photo) > len(found.asked):
        left_out = " or ".join(_text(box) for box in found.on_photo if box not in found.asked)
        console.notice(
            f"{printable(photo)} shows {len(found.on_photo)} faces. This is about the one at "
            f"{_text(found.asked[0])}; --box {left_out} takes another, --all-faces all."
        )
    headings: tuple[str, ...] = ("similarity", "person", "path")
    rows: list[tuple[str, ...]] = [
        (f"{hit.cosine_similarity:.3f}", hit.name or hit.person or "-", printable(hit.path))
        for hit in found.faces
    ]
    if several:
        headings = ("face at", *headings)
        rows = [(_text(found.asked[hit.of - 1]), *row) for hit, row in zip(found.faces, rows, strict=True)]
    if found.faces or console.session.json:
        console.show(found, [console.table(headings, rows)], asked_for=True)
    if not found.faces:
        console.notice(
            f"No faces in the library are similar enough ({found.min_cosine_similarity:g}) and fit what you "
            "asked for. A lower --min-similarity finds more."
        )


def _text(box: "Box") -> str:
    return ",".join(f"{value:.0f}" for value in box)


def _show_images(hits: "list[SimilarImage]") -> None:
    rows = [(f"{hit.cosine_similarity:.3f}", hit.taken or "-", printable(hit.path)) for hit in hits]
    _show("images", hits, console.table(("similarity", "taken", "path"), rows))


def _show(name: str, hits: "Sequence[object]", text: str) -> None:
    if hits or console.session.json:
        console.show_list(name, hits, text)
    if not hits:
        console.notice(f"No {name} in the library fit what you asked for.")
