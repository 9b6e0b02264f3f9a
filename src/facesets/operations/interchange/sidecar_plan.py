"""Plan the change of one photo's sidecar."""

import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from uuid import UUID

from facesets.errors import Command, UnreadableImage, UnreadableXmp, WrongUsage
from facesets.files import is_there, mtime_ns_of, printable
from facesets.formats.named_photos import Box, box_within
from facesets.formats.xmp.editing import UnfitSidecar
from facesets.formats.xmp.merging import EditedSince, Merged, WantedSidecar, is_intact, merged
from facesets.formats.xmp.ownership import Hasher, Ours, from_json, to_json
from facesets.formats.xmp.reading import tidy
from facesets.imaging.stored_frame import stored_box, stored_frame
from facesets.operations.interchange.sidecar_files import SUFFIX, content_of, shared_stems, state_of
from facesets.operations.options.library import ExportXmpOptions
from facesets.operations.people.corrections.lookup import called, find_person
from facesets.sources.missing import is_missing
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.xmp_sidecars import KnownSidecar, PersonFace, PhotoFile, names_of_people

_LAYOUT = "1"
"""The version of the sidecars' content; a higher one makes all sidecars be checked again."""
_CHANGED = "changed since it was indexed; index it again first"
_WRITTEN_WITHIN_S = 60.0
"""Seconds for which an empty file may be one that a program has opened and not yet written."""
_MIN_EDGE = 1e-4
"""Minimum edge of a box, as a fraction of the picture; rounding would lose smaller ones."""

Outcome = Literal["unchanged", "new", "changed", "removed", "missing", "edited", "failed"]


@dataclass(frozen=True, slots=True)
class Request:
    """The options for all sidecars.

    Attributes
    ----------
    names
        The names of people that XML can hold.
    people
        The people to name.
    """

    names: Mapping[UUID, str]
    people: frozenset[UUID]
    microsoft: bool
    replace: bool
    hashed: Hasher
    twins: dict[Path, frozenset[str]] = field(default_factory=dict)
    """Stems with sidecars that may belong to several files, by folder, for the folders checked so far."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for a sidecar.

    Attributes
    ----------
    outcome
        `missing`: the photo does not exist; `edited`: our part was changed; `failed`: for `reason`.
    before, after
        The sidecar's bytes; None for no file.
    known
        The new record of it, with its state; None for no record.
    known_before
        The former record of it, with our part as it was found; None for no record.
    is_left_behind
        Whether its photo is missing, or no longer in the library.
    """

    photo: PhotoFile
    outcome: Outcome
    sidecar: str = ""
    reason: str = ""
    before: bytes | None = None
    after: bytes | None = None
    known: KnownSidecar | None = None
    known_before: KnownSidecar | None = None
    is_left_behind: bool = False

    @property
    def bytes_held(self) -> int:
        """The number of bytes that the plan holds."""
        return len(self.before or b"") + len(self.after or b"")

    @property
    def path(self) -> Path:
        """The path of the sidecar, or of the photo."""
        photo = Path(self.photo.path)
        return photo.with_name(self.sidecar) if self.sidecar else photo


def sidecar_of(photo: PhotoFile) -> Path:
    """Return the path of a photo's known sidecar, else of the photo."""
    return Path(photo.path) if photo.sidecar is None else photo.sidecar.path


def plan_sidecar(photo: PhotoFile, faces: Iterable[PersonFace], request: Request) -> Plan:
    """Plan the change of a photo's sidecar; changes nothing.

    Names that it had before stay, in addition to the requested ones. If the photo is missing or no
    longer known, our part of its sidecar is outdated.
    """
    if photo.elsewhere is not None:
        photo = _with_moved_sidecar(photo, photo.elsewhere, request)
    known = photo.sidecar
    if known is not None and (not photo.is_known or is_missing(photo.path)):
        return _without_photo(photo, known, request)
    ours = _written(known)
    people = request.people | (known.people if known else frozenset())
    wanted = [face for face in faces if face.person in people and face.person in request.names]
    microsoft = request.microsoft or any(each.microsoft for each in ours)
    made_of = _made_of(photo, wanted, request, microsoft=microsoft)
    if known is not None and known.made_of == made_of and _is_as_left(photo, known):
        return Plan(photo, "unchanged", known=known)
    path = Path(photo.path)
    name = ""
    try:
        if not _is_as_indexed(path, photo):
            return Plan(photo, "failed", reason=_CHANGED)
        name = _name_of_sidecar(path, known, request.twins)
        # Taken before the file is read, so that the next run notices anything written meanwhile.
        state = state_of(path.with_name(name)) or (None, None)
        before = content_of(path.with_name(name))
        if is_empty := before == b"":
            _require_left(path.with_name(name))
        # An empty file counts as none, and stays if there is nothing to write.
        done = _merged(photo, wanted, before or None, ours, request, microsoft=microsoft)
    except _REFUSALS as error:
        return _not_done(photo, name, error)
    people = frozenset(each.person for each in wanted)
    now = KnownSidecar(photo.path, name, people, packed(done.ours), None, made_of, *state)
    is_recorded = bool(wanted) or not done.ours.is_nothing
    return Plan(
        photo,
        "unchanged" if is_empty and done.content is None else _outcome(before, done.content),
        name,
        before=before,
        after=done.content,
        known=now if is_recorded else None,
        known_before=known and replace(known, ours=packed(done.found)),
    )


def _require_left(sidecar: Path) -> None:
    """Refuse an empty file that another program may be writing. Raises `UnreadableXmp`."""
    if abs(time.time() - sidecar.stat().st_mtime) < _WRITTEN_WITHIN_S:
        raise UnreadableXmp("it is empty and was written just now; another program may be writing it")


def _written(known: KnownSidecar | None) -> tuple[Ours, ...]:
    """Return what part of a sidecar may be ours."""
    return () if known is None else tuple(map(_unpacked, filter(None, (known.planned, known.ours))))


def _without_photo(photo: PhotoFile, known: KnownSidecar, request: Request) -> Plan:
    """Plan to remove our part; without a sidecar, it may be elsewhere with its photo."""
    try:
        before = content_of(known.path)
        if not before:
            return Plan(photo, "missing")
        no_people = WantedSidecar((), photo.width, photo.height)
        done = merged(before, no_people, _written(known), request.hashed, replace=request.replace)
    except _REFUSALS as error:
        return _not_done(photo, known.name, error)
    return Plan(
        photo,
        _outcome(before, done.content),
        known.name,
        before=before,
        after=done.content,
        known_before=replace(known, ours=packed(done.found)),
        is_left_behind=True,
    )


_REFUSALS = (EditedSince, UnreadableImage, UnreadableXmp, UnfitSidecar, OSError)


def _not_done(photo: PhotoFile, name: str, error: Exception) -> Plan:
    """Plan to leave a sidecar unchanged, for one of these reasons."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Plan(photo, "missing")
    if isinstance(error, UnreadableImage):
        return Plan(photo, "failed", reason=error.reason)
    if isinstance(error, OSError):
        return Plan(photo, "failed", name, f"cannot be read: {error.strerror or error}")
    reason = error.reason if isinstance(error, UnreadableXmp) else str(error)
    return Plan(photo, "edited" if isinstance(error, EditedSince) else "failed", name, reason)


def _with_moved_sidecar(photo: PhotoFile, elsewhere: KnownSidecar, request: Request) -> PhotoFile:
    """Return the photo with the record of the sidecar that moved with it, if any."""
    path = Path(photo.path)
    stays = replace(photo, elsewhere=None)
    try:
        name = _name_of_sidecar(path, None, request.twins)
        content = content_of(path.with_name(name))
        if content is None or not is_intact(content, _unpacked(elsewhere.ours), request.hashed):
            return stays
    except (UnreadableXmp, OSError):
        return stays
    here = replace(elsewhere, photo=photo.path, name=name, made_of=None, size=None, mtime_ns=None)
    return replace(photo, sidecar=here)


def _outcome(before: bytes | None, after: bytes | None) -> Outcome:
    if before == after:
        return "unchanged"
    return "new" if before is None else "removed" if after is None else "changed"


def _merged(
    photo: PhotoFile,
    faces: list[PersonFace],
    before: bytes | None,
    ours: tuple[Ours, ...],
    request: Request,
    *,
    microsoft: bool,
) -> Merged:
    if not faces:
        no_people = WantedSidecar((), photo.width, photo.height)
        return merged(
            before, no_people, ours if before is not None else (), request.hashed, replace=request.replace
        )
    frame = stored_frame(Path(photo.path))
    if frame.upright_size != (photo.width, photo.height):
        raise UnreadableImage(_CHANGED)
    on_it = [(request.names[face.person], _clipped(face.box, photo)) for face in faces]
    named = tuple((name, stored_box(box, frame.orientation)) for name, box in on_it if box is not None)
    wanted = WantedSidecar(named, frame.width, frame.height, microsoft)
    return merged(before, wanted, ours if before is not None else (), request.hashed, replace=request.replace)


def _clipped(box: Box, photo: PhotoFile) -> Box | None:
    """Clip a box to the image, in fractions of it; None if almost nothing is left."""
    x1, y1, x2, y2 = box
    found = box_within(x1 / photo.width, y1 / photo.height, x2 / photo.width, y2 / photo.height)
    return found if found is not None and min(found[2] - found[0], found[3] - found[1]) > _MIN_EDGE else None


def _name_of_sidecar(photo: Path, known: KnownSidecar | None, twins: dict[Path, frozenset[str]]) -> str:
    """Choose the sidecar: the former one, else `photo.jpg.xmp`, else an own `photo.xmp`."""
    full, short = f"{photo.name}{SUFFIX}", f"{photo.stem}{SUFFIX}"
    candidates = (known.name, full) if known is not None else (full,)
    for name in candidates:
        if os.path.lexists(photo.with_name(name)):
            return name
    if not is_there(photo.with_name(short)):
        return full
    if photo.parent not in twins:
        twins[photo.parent] = shared_stems(os.listdir(photo.parent))  # noqa: PTH208 - names, and no paths
    return full if photo.stem in twins[photo.parent] else short


def _is_as_indexed(path: Path, photo: PhotoFile) -> bool:
    status = path.stat()
    return (status.st_size, mtime_ns_of(status)) == (photo.size, photo.mtime_ns)


def _is_as_left(photo: PhotoFile, known: KnownSidecar) -> bool:
    """Whether a sidecar has the size and time that we recorded."""
    left = None if known.size is None or known.mtime_ns is None else (known.size, known.mtime_ns)
    # Without `Path` objects, which would double the time for an up-to-date photo.
    return state_of(os.path.join(os.path.dirname(photo.path), known.name)) == left  # noqa: PTH118, PTH120


def _made_of(photo: PhotoFile, faces: list[PersonFace], request: Request, *, microsoft: bool) -> bytes:
    content = [(request.names[face.person], *(round(edge, 2) for edge in face.box)) for face in faces]
    return bytes.fromhex(request.hashed(_LAYOUT, photo.sha256, f"{microsoft}", json.dumps(content)))


def packed(ours: Ours) -> bytes:
    """Pack our part of a sidecar for the library."""
    return json.dumps(to_json(ours)).encode()


def _unpacked(ours: bytes) -> Ours:
    return from_json(json.loads(ours))


_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def request_of(
    connection: Connection, library: Library, people: Sequence[str], options: ExportXmpOptions
) -> tuple[Request, list[str]]:
    """Return the request, and the names that XML cannot hold.

    Raises
    ------
    WrongUsage
        A person is unknown or has no name.
    """
    names = names_of_people(connection)
    fit = {person: tidy for person, name in names.items() if (tidy := _fit(name)) is not None}
    chosen = frozenset(_named(connection, each, names) for each in people) if people else frozenset(names)
    request = Request(fit, chosen, options.microsoft, options.replace, Hasher(library.identity))
    return request, sorted(names[person] for person in chosen - fit.keys())


def _named(connection: Connection, name: str, names: Iterable[UUID]) -> UUID:
    state = find_person(connection, name)
    if state.id not in names:
        if state.status == "hidden":
            raise WrongUsage(
                f"{called(state)} is hidden and is not exported. Run "
                f"{Command('people unhide', called(state))} first."
            )
        raise WrongUsage(
            f"{printable(name)} has no name to export. Run {Command('people name', printable(name), 'NAME')}."
        )
    return state.id


def _fit(name: str) -> str | None:
    """Return a name for XMP; None if XML cannot hold it."""
    tidied = tidy(name)
    return None if not tidied or _NOT_IN_XML.search(tidied) else tidied
