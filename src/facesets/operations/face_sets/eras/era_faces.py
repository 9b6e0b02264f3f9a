"""Find a person's faces of many years from a curated set, and split them into eras."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesets.clustering.people.splitting import NO_YEAR, Eras, split_into_eras
from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.interfaces import Progress
from facesets.operations.face_sets.selection import centroid_of, rows_under
from facesets.operations.grouping.gating import quality_gates, report_unmeasured
from facesets.operations.options.declaration import settled
from facesets.operations.options.results import SplitErasOptions
from facesets.plurals import counted
from facesets.records import Collection, Float32, Int64
from facesets.results.earlier_export import ERA, EarlierExport
from facesets.results.gates import RECENTRE
from facesets.results.preflight import require_same_recognizer, rows_among

# This share of years at each end of an era may come from wrong clocks, and does not name it.
_STRAY_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Curated:
    """A face set of an export that a user curates.

    Attributes
    ----------
    source : str
        What the set came from.
    seed : float32 array of shape (d,)
        Its centroid, unit length.
    taken_out, given : frozenset of str
        Ids of faces that the user removed from this person, and of faces that the user assigned.
    """

    name: str
    source: str
    faces: int
    seed: Float32
    taken_out: frozenset[str]
    given: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recovered:
    """A person's faces in all sources.

    Attributes
    ----------
    rows : int64 array
        Rows of the store, in order.
    near : int
        Faces within reach of the seed.
    dropped_by : dict
        The number of those that each gate dropped.
    twice : int
        Photos that hold two of the faces: perhaps one is of a relative.
    """

    rows: Int64
    near: int
    dropped_by: dict[str, int]
    twice: int


@dataclass(frozen=True, slots=True)
class EraFaces:
    """Faces of one era.

    Attributes
    ----------
    name : str
        Such as `anna_2004-2009`.
    rows : int64 array
        Rows of the store, in order.
    clusters : tuple of int
        The sub-clusters that it is made of; the first is its anchor.
    first, last, dominant : int
        Capture years, without strays at both ends; 0 if none is known.
    """

    name: str
    rows: Int64
    clusters: tuple[int, ...]
    first: int
    last: int
    dominant: int


def read_curated(earlier: EarlierExport, name: str, collection: Collection) -> Curated:
    """Read the set to start from in an export.

    Raises
    ------
    WrongUsage
        There is no such set, or it is an era itself, or has no faces.
    RecognizerMismatch
        It was made with another recognizer than the store.
    """
    out = earlier.root
    earlier.require_manifest()
    entries = {entry.name: entry for entry in earlier.entries}
    entry = entries.get(name)
    if entry is None:
        known = ", ".join(printable(each) for each, e in entries.items() if e.kind != ERA) or "none"
        raise WrongUsage(f"{printable(out)} has no face set {printable(name)}. Available: {known}.")
    if entry.kind == ERA:
        raise WrongUsage(f"{printable(name)} is already an era. Give the face set that it was split from.")
    manifest = earlier.sets.read(name)
    require_same_recognizer(collection.settings, manifest.made.models, out / name)
    corrections = earlier.corrections
    given = corrections.given_to(name)
    own = {
        name,
        *(each.name for each in earlier.entries if each.source.startswith(f"{era_source(entry.source)}#")),
    }
    elsewhere = {face for (group, face), shows in corrections.verdicts.items() if shows and group not in own}
    unwanted = (corrections.out_of(name) | elsewhere) - given
    wanted = ({item.face.face for item in manifest.faces} - unwanted) | given
    if not wanted:
        raise WrongUsage(f"{printable(out / name)} has no faces. Export it again.")
    rows = [row for row, face in enumerate(collection.face_ids()) if face in wanted]
    # The store may not hold the photos that the set was made from; then its own centroid has to do.
    whole = len(rows) == len(wanted)
    seed = centroid_of(collection.faces.embedding[rows]) if whole else np.array(manifest.centroid, np.float32)
    return Curated(name, entry.source, len(wanted), seed, unwanted, given)


def era_source(source: str) -> str:
    """Return the source of the eras of a set, up to their years."""
    return f"split-eras#{source}"


def recover(
    collection: Collection,
    curated: Curated,
    roots: Sequence[Path],
    options: SplitErasOptions,
    progress: Progress,
) -> Recovered:
    """Find the person's faces below the roots.

    First come all faces within reach of the seed, except those that the user removed from the set; of these,
    the faces that pass the quality gate; and of these, the faces near their common centroid. Faces that the
    user moved to the set are always included.

    Raises
    ------
    WrongUsage
        No photo of the store lies below the roots, or none of the faces is near.
    """
    under = rows_under(collection, roots)
    if not len(under):
        where = f" in {' or '.join(printable(root) for root in roots)}" if roots else ""
        raise WrongUsage(f"No faces found{where}. Embed photos first, or give another folder.")
    faces = collection.faces
    near = under[1 - faces.embedding[under] @ curated.seed <= settled(options.recover_threshold)]
    given = np.intersect1d(under, rows_among(collection.face_ids(), curated.given))
    near = np.setdiff1d(near, rows_among(collection.face_ids(), curated.taken_out))
    report_unmeasured(faces.take(near), collection.settings, options, progress)
    left, dropped = near, dict[str, int]()
    for gate, below, _ in quality_gates(faces, options):
        dropped[gate.name] = int(below[left].sum())
        left = left[~below[left]]
    away = 1 - faces.embedding[left] @ centroid_of(faces.embedding[left])
    far = away > settled(options.recentre_threshold)
    dropped[RECENTRE.name] = int(far.sum())
    rows = np.union1d(left[~far], given)
    if not len(rows):
        raise WrongUsage(
            f"None of {counted(len(under), 'face')} is similar enough to the face set and passes the "
            f"quality filters ({len(near)} similar). Loosen {Field('recover_threshold')}, "
            f"{Field('min_short')} or {Field('min_blur')}."
        )
    per_photo = np.unique(faces.image[rows], return_counts=True)[1]
    return Recovered(rows, len(near), dropped, int((per_photo > 1).sum()))


def split(embeddings: Float32, years: Int64, options: SplitErasOptions) -> Eras:
    """Split faces into sub-clusters and join fragments to anchors, as the options require."""
    return split_into_eras(
        embeddings,
        years,
        max_cosine_distance=options.split_threshold,
        min_anchor_faces=options.min_era_faces,
        join_cosine_distance=options.join_threshold,
        join_years=options.join_years,
    )


def name_eras(base: str, eras: Eras, rows: Int64, years: Int64) -> list[EraFaces]:
    """Name eras after the set and their years; the larger of two with the same years comes first.

    Parameters
    ----------
    rows, years : int64 arrays of shape (n,)
        Rows of the store and capture years of the faces that were split.
    """
    sizes = np.bincount(eras.era)
    named: list[EraFaces] = []
    taken: set[str] = set()
    for era in sorted(np.flatnonzero(sizes), key=lambda e: (-sizes[e], e)):
        members = eras.era == era
        first, last = year_range(years[members])
        name = wish = f"{base}_{_years(first, last)}"
        number = 2
        while name in taken:
            name, number = f"{wish}_{number}", number + 1
        taken.add(name)
        clusters = [int(c) for c in np.unique(eras.cluster[members])]
        named.append(
            EraFaces(
                name=name,
                rows=rows[members],
                clusters=tuple(sorted(clusters, key=lambda c: (c != era, c))),
                first=first,
                last=last,
                dominant=int(eras.dominant_year[era]),
            )
        )
    return named


def year_range(years: Int64) -> tuple[int, int]:
    """Return first and last capture year, without strays at both ends; zeros if none is known."""
    known = np.sort(years[years != NO_YEAR])
    if not len(known):
        return NO_YEAR, NO_YEAR
    stray = int(_STRAY_SHARE * len(known))
    return int(known[stray]), int(known[len(known) - 1 - stray])


def _years(first: int, last: int) -> str:
    if first == NO_YEAR:
        return "undated"
    return str(first) if first == last else f"{first}-{last}"
