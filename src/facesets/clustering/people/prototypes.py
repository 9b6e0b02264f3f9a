"""Prototypes of people, which faces are compared with: exemplars and centroids.

Exemplars are single faces, good ones that differ from each other; a centroid is what many faces have in
common. People whose photos span years have a centroid for each era besides that of all their faces.
`spread_out` chooses a few faces that show as much of a person as possible.
"""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.people.splitting import NO_YEAR, split_into_eras
from facesets.clustering.vectors import Bool, Embeddings, Float32, Int64, unit_rows

MAX_EXEMPLARS = 3
GOOD_QUALITY = 0.5
_MIN_YEARS = 3
_MIN_ERA_FACES = 8
_ERA_CUT = 0.35
_ERA_JOIN = 0.40
_ERA_JOIN_YEARS = 5
_MAX_IN_ERAS = 2000
"""Maximum faces, the best ones, used to find eras: the cost grows with the square of their number."""

DISTANCE_UNIT = 0.35
"""Cosine distance of two clearly different photos of a person, by expression, light, or age."""

TURN_UNIT = 25.0
"""Degrees at which two poses are clearly different."""

QUALITY_SLACK = 0.10
"""Maximum loss of quality of a chosen face against the best choice's last face."""


@dataclass(frozen=True, slots=True)
class PersonFaces:
    """The faces of one person, in any order.

    Attributes
    ----------
    face_id : int64 array of shape (n,)
        Decides between faces that are equally good.
    embedding : float32 array of shape (n, d)
        Of unit length.
    quality : float32 array of shape (n,)
        From 0 to 1.
    clarity : float32 array of shape (n,)
        How clearly each shows the person; 0 for faces that show nothing, used only if there are no others.
    year : int64 array of shape (n,)
        Of capture; 0 if unknown.
    pinned, dropped : bool array of shape (n,)
        Whether the user pinned or dropped each as an exemplar.
    """

    face_id: Int64
    embedding: Float32
    quality: Float32
    clarity: Float32
    year: Int64
    pinned: Bool
    dropped: Bool


@dataclass(frozen=True, slots=True)
class Centroid:
    """The direction that some faces have in common.

    Attributes
    ----------
    vector : float32 array of shape (d,)
        Of unit length.
    rows : int64 array
        The faces that were averaged.
    is_era : bool
        Whether they are those of one era.
    """

    vector: Float32
    rows: Int64
    is_era: bool


@dataclass(frozen=True, slots=True)
class PersonPrototypes:
    """Exemplars and centroids of one person.

    Attributes
    ----------
    exemplars : int64 array
        Rows of the person's faces: those pinned, then the others in the order in which they were chosen.
    centroids : tuple of Centroid
        That of all faces first; none if they cancel out.
    """

    exemplars: Int64
    centroids: tuple[Centroid, ...]


def prototypes_of(faces: PersonFaces) -> PersonPrototypes:
    """Choose a person's exemplars and make the centroids, independent of the order of the faces."""
    order = np.argsort(faces.face_id, kind="stable")
    faces = PersonFaces(
        faces.face_id[order],
        faces.embedding[order],
        faces.quality[order],
        faces.clarity[order],
        faces.year[order],
        faces.pinned[order],
        faces.dropped[order],
    )
    good = good_rows(faces.quality, faces.clarity)
    middle = _centroid(faces, good, is_era=False)
    exemplars = _exemplars(faces, good, middle)
    centroids = [each for each in (middle, *_era_centroids(faces, good)) if each is not None]
    return PersonPrototypes(
        order[exemplars],
        tuple(Centroid(each.vector, order[each.rows], each.is_era) for each in centroids),
    )


def good_rows(quality: Float32, clarity: Float32) -> Int64:
    """Select the faces to learn a person from: good ones, else those that show something, else all."""
    clear = clarity > 0
    for some in (clear & (quality >= GOOD_QUALITY), clear):
        if some.any():
            return np.flatnonzero(some)
    return np.arange(len(quality))


def _centroid(faces: PersonFaces, rows: Int64, *, is_era: bool) -> Centroid | None:
    # Faces of quality zero count a little, so that there is a mean of them.
    weight = np.maximum(faces.quality[rows].astype(np.float64), 1e-3)
    mean = weight @ faces.embedding[rows].astype(np.float64)
    length = float(np.linalg.norm(mean))
    if not length > 0:
        return None
    return Centroid((mean / length).astype(np.float32), rows, is_era)


def _exemplars(faces: PersonFaces, good: Int64, middle: Centroid | None) -> Int64:
    """Choose exemplars: pinned ones, then the best, then each as far as possible from those chosen.

    Candidates are the three quarters of good faces nearest to the centroid: others may be another person's.
    """
    chosen = np.flatnonzero(faces.pinned).tolist()
    free = good[~faces.pinned[good] & ~faces.dropped[good]]
    if middle is not None and len(free) > MAX_EXEMPLARS:
        nearness = faces.embedding[free] @ middle.vector
        keep = max(MAX_EXEMPLARS, -(-3 * len(free) // 4))
        free = free[np.sort(np.argsort(-nearness, kind="stable")[:keep])]
    if not chosen and len(free):
        chosen.append(int(free[(faces.quality[free] * faces.clarity[free]).argmax()]))
    while len(chosen) < MAX_EXEMPLARS and len(left := free[~np.isin(free, chosen)]):
        nearest = (faces.embedding[left] @ faces.embedding[chosen].T).max(axis=1)
        chosen.append(int(left[nearest.argmin()]))
    return np.array(chosen, np.int64)


def _era_centroids(faces: PersonFaces, good: Int64) -> list[Centroid]:
    """Make a centroid for each era, if photos span years and the faces fall into several eras."""
    dated = good[faces.year[good] != NO_YEAR]
    years = faces.year[dated]
    if len(dated) < 2 * _MIN_ERA_FACES or int(years.max() - years.min()) < _MIN_YEARS:
        return []
    if len(dated) > _MAX_IN_ERAS:
        best = np.argsort(-faces.quality[dated], kind="stable")[:_MAX_IN_ERAS]
        dated = dated[np.sort(best)]
    eras = split_into_eras(
        faces.embedding[dated],
        faces.year[dated],
        max_cosine_distance=_ERA_CUT,
        min_anchor_faces=_MIN_ERA_FACES,
        join_cosine_distance=_ERA_JOIN,
        join_years=_ERA_JOIN_YEARS,
    )
    if eras.anchors < 2:
        return []
    made = (_centroid(faces, dated[eras.era == era], is_era=True) for era in range(eras.anchors))
    return [each for each in made if each is not None]


def spread_out(embeddings: Embeddings, pose: Float32, quality: Float32, count: int) -> Int64:
    """Choose faces by farthest-point sampling in pose and embedding, above a floor of quality.

    The first is the best; then again and again the one that is farthest from all that are chosen. The
    distance of two faces is the length of (cosine distance / `DISTANCE_UNIT`, turn / `TURN_UNIT`); an
    unknown pose counts as no turn. Faces below the quality of the `count`-th best by `QUALITY_SLACK` are out.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
        Scaled to unit length if they are not.
    pose : float array of shape (n, 3)
        Pitch, yaw, roll in degrees; NaN if unknown. Roll does not count: alignment undoes it.
    quality : float array of shape (n,)

    Returns
    -------
    int64 array of shape (min(count, n),)
        Rows, by falling quality, equal ones by row.

    Raises
    ------
    ValueError
        When the embeddings are malformed (see `unit_rows`).
    """
    rows = unit_rows(embeddings)
    ranked = np.lexsort((np.arange(len(rows)), -np.asarray(quality, np.float64)))
    if count >= len(rows):
        return ranked
    good = ranked[quality[ranked] >= quality[ranked[count - 1]] - np.float32(QUALITY_SLACK)]
    places = _farthest_first(rows[good], np.asarray(pose, np.float64)[good, :2], count)
    chosen: Int64 = good[np.sort(places)]
    return chosen


def _farthest_first(rows: Float32, angles: np.ndarray, count: int) -> Int64:
    """Return the places of `count` points, beginning with the first; of equally far ones the earlier."""
    chosen = np.zeros(count, np.int64)
    nearest = np.full(len(rows), np.inf)
    for step in range(1, count):
        last = chosen[step - 1]
        apart = np.maximum(1 - rows @ rows[last], 0).astype(np.float64) / DISTANCE_UNIT
        turn = np.linalg.norm(np.nan_to_num(angles - angles[last]), axis=1) / TURN_UNIT
        nearest = np.minimum(nearest, np.hypot(apart, turn))
        nearest[last] = -1
        chosen[step] = int(np.argmax(nearest))
    return chosen
