"""Which images count as known, and which files below some folders need no look."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facesets.library_records import KnownFile, UnchangedFiles
from facesets.records import Wanted
from facesets.store.postgres import face_scans, image_embeddings, image_paths
from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Sought:
    """What an image must have to count as known.

    Attributes
    ----------
    searched_by : int or None
        The detector, by number, that must have searched it for faces; None where it is not known yet.
    must_be_searched : bool
        Off: whether it was searched does not matter.
    embedded_by : int or None
        The model of whole images, by number; None where it is not known yet.
    must_be_embedded : bool
        Off: whether it was embedded does not matter.
    """

    searched_by: int | None
    must_be_searched: bool
    embedded_by: int | None
    must_be_embedded: bool


def searched_images(connection: Connection, sought: Sought, sha256: Sequence[str]) -> set[str]:
    """Which of these contents were searched for faces by the detector that is sought."""
    number = sought.searched_by
    return set() if number is None else face_scans.searched_among(connection, number, sha256)


def lacking(connection: Connection, sought: Sought, sha256: str) -> tuple[bool, Wanted]:
    """Whether a content is known, and what it lacks of what is sought."""
    known = connection.execute("SELECT FROM images WHERE sha256 = %s", (sha256,)).fetchone() is not None
    searched = not sought.must_be_searched or bool(known and searched_images(connection, sought, [sha256]))
    embedded = not sought.must_be_embedded or (
        known and image_embeddings.is_embedded(connection, sha256, sought.embedded_by)
    )
    return known, Wanted(faces=not searched, clip=not embedded)


def known_below(connection: Connection, sought: Sought, roots: Sequence[str]) -> dict[str, KnownFile]:
    """What was seen at the paths below some directories; of what lacks something, as if it had changed."""
    found = image_paths.known_paths(connection, roots, _detector(sought), searched=sought.must_be_searched)
    if not sought.must_be_embedded:
        return found
    return _changed(found, image_embeddings.lacking_below(connection, roots, sought.embedded_by))


def unchanged_below(connection: Connection, sought: Sought, roots: Sequence[str]) -> UnchangedFiles:
    """Files below some directories that `index` need not look at."""
    nothing_searched = sought.must_be_searched and sought.searched_by is None
    if nothing_searched or (sought.must_be_embedded and sought.embedded_by is None):
        return UnchangedFiles(set(), set())
    return image_paths.unchanged_below(
        connection, roots, searched_by=_detector(sought), embedded_by=sought.embedded_by
    )


def seen_at(connection: Connection, sought: Sought, paths: Sequence[str]) -> dict[str, KnownFile]:
    """What was seen at these very paths; of what lacks something, as if it had changed."""
    found = image_paths.seen_at(connection, paths, _detector(sought), searched=sought.must_be_searched)
    if not sought.must_be_embedded:
        return found
    return _changed(found, image_embeddings.lacking_at(connection, paths, sought.embedded_by))


def _detector(sought: Sought) -> int | None:
    return sought.searched_by if sought.must_be_searched else None


def _changed(found: dict[str, KnownFile], lacking: set[str]) -> dict[str, KnownFile]:
    again = {path: replace(found[path], mtime_ns=-1) for path in lacking if path in found}
    return found | again
