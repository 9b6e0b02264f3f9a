"""The images that count as known, and the files that `index` can skip."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facesets.library_records import KnownFile, UnchangedFiles
from facesets.records import Wanted
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text, range_below, to_text
from facesets.store.postgres.photos import image_paths


@dataclass(frozen=True, slots=True)
class KnownCriteria:
    """What an image must have to count as known.

    Attributes
    ----------
    searched_by : int or None
        Number of the detector that must have searched it for faces; None if not known yet.
    must_be_searched : bool
        Whether it must have been searched at all.
    embedded_by : int or None
        Number of the model of whole images; None if not known yet.
    must_be_embedded : bool
        Whether it must have been embedded at all.
    """

    searched_by: int | None
    must_be_searched: bool
    embedded_by: int | None
    must_be_embedded: bool


def searched_images(connection: Connection, criteria: KnownCriteria, sha256: Sequence[str]) -> set[str]:
    """Return which contents were searched for faces by the detector."""
    if criteria.searched_by is None:
        return set()
    digests = connection.scalars(
        """SELECT i.sha256 FROM images i JOIN face_scans s ON s.image_id = i.id
            WHERE s.detector_id = %s AND i.sha256 = ANY(%s)""",
        (criteria.searched_by, list(sha256)),
    )
    return set(digests)


def lacking(connection: Connection, criteria: KnownCriteria, sha256: str) -> tuple[bool, Wanted]:
    """Return whether a content is known, and what it lacks."""
    known = connection.execute("SELECT FROM images WHERE sha256 = %s", (sha256,)).fetchone() is not None
    searched = not criteria.must_be_searched or bool(
        known and searched_images(connection, criteria, [sha256])
    )
    embedded = not criteria.must_be_embedded or (
        known and _is_embedded(connection, sha256, criteria.embedded_by)
    )
    return known, Wanted(faces=not searched, clip=not embedded)


def known_below(
    connection: Connection, criteria: KnownCriteria, roots: Sequence[str]
) -> dict[str, KnownFile]:
    """Return the records of paths below some directories; incomplete ones count as changed."""
    found = image_paths.known_paths(
        connection, roots, _detector(criteria), searched=criteria.must_be_searched
    )
    if not criteria.must_be_embedded:
        return found
    return _changed(found, _lacking_below(connection, roots, criteria.embedded_by))


def unchanged_below(connection: Connection, criteria: KnownCriteria, roots: Sequence[str]) -> UnchangedFiles:
    """Return files below some directories that `index` can skip."""
    nothing_searched = criteria.must_be_searched and criteria.searched_by is None
    if nothing_searched or (criteria.must_be_embedded and criteria.embedded_by is None):
        return UnchangedFiles(set(), set())
    return image_paths.unchanged_below(
        connection, roots, searched_by=_detector(criteria), embedded_by=criteria.embedded_by
    )


def seen_at(connection: Connection, criteria: KnownCriteria, paths: Sequence[str]) -> dict[str, KnownFile]:
    """Return the records of these exact paths; incomplete ones count as changed."""
    found = image_paths.seen_at(connection, paths, _detector(criteria), searched=criteria.must_be_searched)
    if not criteria.must_be_embedded:
        return found
    return _changed(found, _lacking_at(connection, paths, criteria.embedded_by))


def _detector(criteria: KnownCriteria) -> int | None:
    return criteria.searched_by if criteria.must_be_searched else None


def _changed(found: dict[str, KnownFile], lacking: set[str]) -> dict[str, KnownFile]:
    again = {path: replace(found[path], mtime_ns=-1) for path in lacking if path in found}
    return found | again


def _is_embedded(connection: Connection, sha256: str, model_id: int | None) -> bool:
    """Whether the image with that content has an embedding by a model."""
    row = connection.execute(
        """SELECT FROM images i JOIN image_embeddings e ON e.image_id = i.id
            WHERE i.sha256 = %s AND e.model_id = %s""",
        (sha256, model_id),
    ).fetchone()
    return row is not None


def _lacking_below(connection: Connection, roots: Sequence[str], model_id: int | None) -> set[str]:
    """Return paths at or below the roots of images without an embedding by a model."""
    lacking: set[str] = set()
    for root in dict.fromkeys(roots):
        paths = connection.scalars(
            """SELECT p.path FROM image_paths p
                WHERE (p.path = %(root)s OR (p.path >= %(below)s AND p.path < %(beyond)s)) AND p.reason = ''
                    AND NOT EXISTS (SELECT FROM image_embeddings e
                        WHERE e.image_id = p.image_id AND e.model_id = %(model)s)""",
            range_below(root) | {"model": model_id},
        )
        lacking.update(from_text(path) for path in paths)
    return lacking


def _lacking_at(connection: Connection, paths: Sequence[str], model_id: int | None) -> set[str]:
    """Return which of these exact paths lead to an image without an embedding by a model."""
    found = connection.scalars(
        """SELECT p.path FROM image_paths p
            WHERE p.path = ANY(%s) AND p.reason = '' AND NOT EXISTS (SELECT FROM image_embeddings e
                WHERE e.image_id = p.image_id AND e.model_id = %s)""",
        ([to_text(path) for path in paths], model_id),
    )
    return {from_text(path) for path in found}


def scanned_images(connection: Connection, image_ids: Sequence[int], detector_id: int) -> set[int]:
    """Return which images this detector searched."""
    found = connection.scalars(
        "SELECT image_id FROM face_scans WHERE detector_id = %s AND image_id = ANY(%s)",
        (detector_id, list(image_ids)),
    )
    return set(found)


def images_with_faces(connection: Connection, image_ids: Sequence[int], detector_id: int) -> set[int]:
    """Return which images have faces, perhaps without a record of the search."""
    found = connection.scalars(
        "SELECT DISTINCT image_id FROM face_detections WHERE detector_id = %s AND image_id = ANY(%s)",
        (detector_id, list(image_ids)),
    )
    return set(found)
