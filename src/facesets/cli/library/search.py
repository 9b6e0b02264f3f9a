"""`facesets search`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import ClipPackOption, DatabaseOption, MlUriOption, PackOption, ProviderOption
from facesets.errors import Command, Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.library import SearchOptions
from facesets.words.phrases import table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facesets.interfaces import Embedder
    from facesets.library_records import ClipRow
    from facesets.operations.library.search import Box, FaceSearch, ImageHit, SimilarImage, Which
    from facesets.records import Float32, Pixels
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.photos.filter import PhotoFilter
    from facesets.store.postgres.photos.search import FaceHit

_Hit = TypeVar("_Hit")


def search(
    context: typer.Context,
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
    """Find photos by words, photo, face, person, place or date."""
    source = context.get_parameter_source("person")
    if source is not None and source.name == "ENVIRONMENT":
        # Typer splits a variable at spaces, but this one held a single name before there could be several.
        options = replace(options, person=(" ".join(options.person),))
    _require_what_fits(text, options)
    from facesets.assembly.describing import RequestedModels, encoders, face_embedder
    from facesets.operations.library.search import search_by_words, search_photos
    from facesets.work import Work

    conf = settings.load()
    asked = RequestedModels((pack, None, None), clip_pack, provider, ml_uri)
    with opened_library(database) as library, console.stoppable() as stop:
        asked_for = _filter(library, options)
        if options.face is not None:
            with console.progress() as progress:
                embedder = face_embedder(library, conf, asked, console, Work(progress=progress, stop=stop))
            _search_by_face(library, embedder, options.face, asked_for, options)
        elif text is not None or options.like is not None:
            try:
                made = encoders(library, conf, asked, stop)
            except WrongUsage as error:
                raise _or_a_person(library, text or "", error) from error
            _search_similar(library, made, text, asked_for, options)
        elif options.words is not None:
            described = _shown(search_by_words(library, asked_for, options.limit + 1), options.limit)
            texts = [f"{printable(hit.path)}\n    {printable(hit.description)}" for hit in described]
            _show("images", described, "\n".join(texts))
            _explain_nothing(library, asked_for, described)
        elif not asked_for.open:
            photos = _shown(search_photos(library, asked_for, options.limit + 1), options.limit)
            _show_images(photos)
            _explain_nothing(library, asked_for, photos)
        else:
            raise WrongUsage(
                "Missing search condition. Give TEXT, --like PHOTO, --face PHOTO, --person NAME, "
                "--from DATE, --near LAT,LON, --camera TEXT, --tag TAG or --words WORDS."
            )


def _or_a_person(library: "Library", text: str, error: WrongUsage) -> WrongUsage:
    """Explain why text search fails, and what to do if the text is a person's name."""
    from facesets.operations.library.photo_search import requested_people

    try:
        requested_people(library, [text])
    except WrongUsage:
        return error
    command = Command("search", Field("person", printable(text)))
    return WrongUsage(
        f"{printable(text)} is a person in the library: {command}. To search for what photos show: {error}"
    )


def _require_what_fits(text: str | None, options: SearchOptions) -> None:
    """Refuse options that do not go together. Raises `WrongUsage`."""
    if sum(what is not None for what in (text, options.like, options.face)) > 1:
        raise WrongUsage("Give only one of TEXT, --like and --face; all other conditions can be combined.")
    of_face = options.box is not None or options.all_faces or options.min_similarity is not None
    if options.face is None and of_face:
        raise WrongUsage("--box, --all-faces and --min-similarity need --face PHOTO.")
    if options.camera is not None and not options.camera.strip():
        raise WrongUsage("--camera is empty. Give the name of a camera or lens, or part of it.")
    if options.age is not None and not options.person:
        raise WrongUsage("--age needs --person NAME.")
    if options.since is not None and options.until is not None and options.since > options.until:
        raise WrongUsage(f"--from {options.since} is after --to {options.until}. Give the earlier day first.")
    _which(options.box, every=options.all_faces)


def _search_by_face(
    library: "Library", embedder: "Embedder", photo: Path, asked_for: "PhotoFilter", options: SearchOptions
) -> None:
    from facesets.operations.library.search import search_by_face
    from facesets.operations.library.search_index import wants_index

    if wants_index(library):
        console.notice("Comparing every face. To make this faster, run `facesets db index`.")
    found = search_by_face(
        library,
        embedder,
        str(photo),
        asked_for,
        options.limit,
        which=_which(options.box, every=options.all_faces),
        min_cosine_similarity=options.min_similarity,
    )
    _show_faces(found, photo)
    _explain_nothing(library, asked_for, found.faces)


def _search_similar(
    library: "Library",
    encoders: "tuple[ClipRow, Callable[[str], Float32], Callable[[Pixels], Float32]]",
    text: str | None,
    asked_for: "PhotoFilter",
    options: SearchOptions,
) -> None:
    from facesets.operations.library.search import search_by_text, search_like
    from facesets.operations.library.search_index import wants_index

    row, of_text, of_picture = encoders
    if wants_index(library, row):
        console.notice("Comparing every photo. To make this faster, run `facesets db index`.")
    if options.like is not None:
        found = search_like(library, row, of_picture, str(options.like), asked_for, options.limit)
    else:
        found = search_by_text(library, row, of_text, text or "", asked_for, options.limit)
    _show_similar(found)
    _explain_nothing(library, asked_for, found)


def _filter(library: "Library", options: SearchOptions) -> "PhotoFilter":
    """Return the filter for the photos."""
    from facesets.operations.library.photo_search import filter_of, requested_people
    from facesets.store.postgres.photos.filter import Dates

    return filter_of(
        library,
        requested_people(library, options.person),
        Dates(options.since, options.until),
        options.near,
        options.camera or "",
        words=options.words,
        ages=options.age,
        tags=options.tag,
    )


def _which(box: str | None, *, every: bool) -> "Which":
    from facesets.operations.library.search import Which

    if box is None:
        return Which(every=every)
    if every:
        raise WrongUsage("Give either --box for one face or --all-faces.")
    try:
        left, top, right, bottom = map(float, box.split(","))
    except ValueError as error:
        raise WrongUsage(f"--box {box} is invalid. Give four numbers, such as 10,20,110,140.") from error
    return Which((left, top, right, bottom))


def _show_faces(found: "FaceSearch", photo: Path) -> None:
    several = len(found.asked) > 1
    if len(found.on_photo) > len(found.asked):
        left_out = " or ".join(_text(box) for box in found.on_photo if box not in found.asked)
        console.notice(
            f"{printable(photo)} has {len(found.on_photo)} faces. Searched for the one at "
            f"{_text(found.asked[0])}; use --box {left_out} for another, or --all-faces."
        )
    columns = {"face at": [_text(found.asked[hit.of - 1]) for hit in found.faces]} if several else {}
    columns |= {"similarity": [f"{hit.cosine_similarity:.3f}" for hit in found.faces]}
    columns |= {"person": [hit.name or hit.person or "-" for hit in found.faces]}
    if found.faces or console.session.json:
        console.show(found, [_table(found.faces, columns)], asked_for=True)
    if not found.faces:
        console.notice(
            "No matching face in the library has a similarity of at least "
            f"{found.min_cosine_similarity:g}. Lower --min-similarity to find more."
        )


def _text(box: "Box") -> str:
    return ",".join(f"{value:.0f}" for value in box)


def _show_similar(hits: "Sequence[SimilarImage]") -> None:
    columns = {"similarity": [f"{hit.cosine_similarity:.3f}" for hit in hits]}
    _show("images", hits, _table(hits, columns | {"taken": [hit.taken or "-" for hit in hits]}))


def _show_images(hits: "Sequence[ImageHit]") -> None:
    if all(hit.distance_km is None for hit in hits):
        _show("images", hits, "\n".join(printable(hit.path) for hit in hits))
    else:
        _show("images", hits, _table(hits, {"taken": [hit.taken or "-" for hit in hits]}))


def _shown(found: "list[_Hit]", limit: int) -> "list[_Hit]":
    """Return the results to print, and report if there are more."""
    if len(found) > limit:
        console.remark(f"Showing the first {limit} results. Raise --limit to see more.")
    return found[:limit]


def _explain_nothing(library: "Library", asked: "PhotoFilter", found: "Sequence[object]") -> None:
    """Report for an empty result which conditions match no photo, and which photos are not analyzed yet."""
    from facesets.operations.library.nothing_found import explain_nothing_found, not_looked_at

    if not found:
        for sentence in explain_nothing_found(library, asked):
            console.notice(sentence)
        for each in not_looked_at(library, asked):
            console.notice(each.sentence)


def _table(hits: "Sequence[FaceHit | ImageHit | SimilarImage]", columns: "dict[str, list[str]]") -> str:
    """Format hits as a table, with the distance if a place was given, and their paths."""
    if any(hit.distance_km is not None for hit in hits):
        columns = columns | {
            "km": ["-" if hit.distance_km is None else f"{hit.distance_km:.1f}" for hit in hits]
        }
    columns = columns | {"path": [printable(hit.path) for hit in hits]}
    return table(list(columns), list(zip(*columns.values(), strict=True)))


def _show(name: str, hits: "Sequence[object]", text: str) -> None:
    if hits or console.session.json:
        console.show_list(name, hits, text)
    if not hits:
        console.notice(f"No matching {'photos' if name == 'images' else name} in the library.")
