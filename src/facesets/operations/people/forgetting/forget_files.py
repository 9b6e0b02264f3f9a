"""A person erased from files: from caches, and from results made of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import plain_path
from facesets.imaging.boxes import best_partners
from facesets.imaging.renumbered_faces import Renumbered
from facesets.operations.people.forgetting.written_names import holds_name
from facesets.records import Bool, Float32
from facesets.results.current_faces import ErasureInResult
from facesets.results.export_manifest import ExportManifest
from facesets.results.forgetting import ResultForgotten, forget_in_result
from facesets.results.manifest import ClusterManifest, FaceEntry, RefineManifest
from facesets.results.manifest_json import read_any_manifest
from facesets.results.names.file_names import folded
from facesets.results.names.names_file import NamedPerson, PeopleNames, read_names, update_names
from facesets.store.npz.cache import Cache
from facesets.store.npz.schema import Part
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import FaceVectors
from facesets.store.postgres.people.traces import is_near
from facesets.store.postgres.photos.face_places import SAME_FACE_OVERLAP, FacePlace
from facesets.store.postgres.runs import noted_results

NEAR = 0.3
"""Cosine distance within which an embedding counts as the person's."""


@dataclass(frozen=True, slots=True)
class CacheForgotten:
    """The data removed from a cache.

    Attributes
    ----------
    of_others : int
        Faces near the person's that belong to another person in the library: they stay.
    names : int
        Names removed from the file beside it.
    vectors_left : int
        Vectors of the person that it still holds.
    names_left : bool
        Whether the file beside it still holds a name.
    """

    file: str
    faces: int
    of_others: int
    names: int
    vectors_left: int
    names_left: bool


@dataclass(frozen=True, slots=True)
class Traces:
    """The data that identifies the person in files.

    Attributes
    ----------
    places : sequence of FacePlace
        Places of their faces in the library.
    vectors : sequence of FaceVectors
        Embeddings of these faces, separately for each model.
    names, forms : sequence of str
        Their current and former names, in every written form.
    others : callable
        Returns which of some places are faces of another person in the library.
    """

    places: Sequence[FacePlace]
    vectors: Sequence[FaceVectors]
    names: Sequence[str]
    forms: Sequence[str]
    others: Callable[[Sequence[FacePlace]], Bool]


def forget_in_cache(cache: Cache, traces: Traces, first: Callable[[Renumbered], None]) -> CacheForgotten:
    """Remove a person's faces from a cache, by place and embedding, and their names beside it.

    Parameters
    ----------
    first : callable
        Called before the change with the ids that will change: after an interruption, the old ids could not
        be identified.

    Raises
    ------
    WrongUsage, DamagedFile, AlreadyRunning, CannotWrite
        The cache cannot be read or written.
    """
    settings = cache.load().settings
    retained = 0

    def is_removed(part: Part) -> Bool:
        nonlocal retained
        of_person, of_others = _of_person(part, traces)
        retained = int(of_others.sum())
        return of_person

    with cache.writing(settings):
        renumbered = cache.renumbered(is_removed)
        first(renumbered)
        cache.drop_faces(is_removed)
    names = _forget_names(cache, traces, renumbered.new) if cache.names_file.exists() else 0
    left = _near_faces(cache, traces.vectors) - retained
    names_file = cache.names_file.read_bytes() if cache.names_file.exists() else b""
    went = sum(not new for new in renumbered.new.values())
    return CacheForgotten(
        str(cache.path), went, retained, names, max(left, 0), holds_name(names_file, traces.forms)
    )


def find_in_cache(cache: Cache, traces: Traces) -> CacheForgotten:
    """Return what `forget_in_cache` would remove. Raises `DamagedFile`."""
    retained = 0

    def is_removed(part: Part) -> Bool:
        nonlocal retained
        of_person, of_others = _of_person(part, traces)
        retained = int(of_others.sum())
        return of_person

    went = sum(not new for new in cache.renumbered(is_removed).new.values())
    wanted = set(map(folded, traces.names))
    named = read_names(cache.names_file).people if cache.names_file.exists() else ()
    names = sum(folded(each.name) in wanted for each in named)
    return CacheForgotten(str(cache.path), went, retained, names, vectors_left=0, names_left=False)


def _of_person(part: Part, traces: Traces) -> tuple[Bool, Bool]:
    """Return the person's faces, by place and embedding, and similar ones of other people."""
    by_place = _at_places(part, traces.places)
    near = _near(part, traces.vectors) & ~by_place
    of_others = np.zeros(len(near), bool)
    rows = np.flatnonzero(near)
    of_others[rows] = traces.others([_place(part, int(row)) for row in rows])
    return by_place | (near & ~of_others), of_others


def _near_faces(cache: Cache, vectors: Sequence[FaceVectors]) -> int:
    collection = cache.load()
    return int(
        _near_vectors(collection.faces.embedding, collection.settings.recognizer_sha256, vectors).sum()
    )


def _near(part: Part, vectors: Sequence[FaceVectors]) -> Bool:
    return _near_vectors(part.faces.embedding, part.settings.recognizer_sha256, vectors)


def _near_vectors(embedding: Float32, recognizer_sha256: str, vectors: Sequence[FaceVectors]) -> Bool:
    near = np.zeros(len(embedding), bool)
    for of_person in vectors:
        if of_person.recognizer_sha256 == recognizer_sha256 and len(embedding):
            near |= is_near(embedding, of_person.embedding, NEAR)
    return near


def _place(part: Part, row: int) -> FacePlace:
    image = int(part.faces.image[row])
    x1, y1, x2, y2 = part.faces.box[row].tolist()
    size = int(part.width[image]), int(part.height[image])
    return FacePlace(part.sha256[image].decode(), *size, (x1, y1, x2, y2))


def _at_places(part: Part, places: Sequence[FacePlace]) -> Bool:
    """Return which faces are at the places of the person's in the library."""
    found = np.zeros(len(part.faces), bool)
    row_of = {digest.decode(): row for row, digest in enumerate(part.sha256.tolist())}
    by_image = boxes_by_image(places)
    for sha256, of_person in by_image.items():
        if sha256 in row_of:
            rows = np.flatnonzero(part.faces.image == row_of[sha256])
            partner = best_partners(of_person, part.faces.box[rows], min_iou=SAME_FACE_OVERLAP)
            found[rows[partner[partner >= 0]]] = True
    return found


def boxes_by_image(places: Iterable[FacePlace]) -> dict[str, Float32]:
    """Return the boxes of each image."""
    boxes: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for place in places:
        boxes[place.sha256].append(place.box)
    return {sha256: np.array(each, np.float32) for sha256, each in boxes.items()}


def _forget_names(cache: Cache, traces: Traces, renumbered: Mapping[str, str]) -> int:
    wanted = set(map(folded, traces.names))
    before = read_names(cache.names_file)

    def change(names: PeopleNames) -> PeopleNames:
        people = (
            NamedPerson(each.name, each.folder, _renumbered(each.faces, renumbered))
            for each in names.people
            if folded(each.name) not in wanted
        )
        folders = {
            folder: tuple(name for name in of if folded(name) not in wanted)
            for folder, of in names.folders.items()
        }
        return replace(names, folders=folders, people=tuple(each for each in people if each.faces))

    update_names(cache.names_file, change)
    return len(before.people) - len(read_names(cache.names_file).people)


def _renumbered(faces: Iterable[str], renumbered: Mapping[str, str]) -> frozenset[str]:
    return frozenset(new for face in faces if (new := renumbered.get(face, face)))


def results_of(caches: Sequence[Cache]) -> list[Path]:
    """Return the results made of caches, as noted beside these."""
    found: dict[Path, None] = {}
    for cache in caches:
        if cache.names_file.exists():
            for folder in read_names(cache.names_file).folders:
                found[plain_path(cache.names_file.parent / folder)] = None
    return [folder for folder in found if folder.is_dir()]


def results_of_library(database: Database) -> list[Path]:
    """Return the existing results that commands made from the library."""
    identity = Library(database).identity
    return [folder for folder in database.run(noted_results) if _is_of(folder, identity)]


def _is_of(folder: Path, identity: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        manifest = read_any_manifest(folder)
    except WrongUsage:
        return False
    except FacesetsError:
        # Problems with the folder are reported when it is searched.
        return True
    kinds = ClusterManifest | RefineManifest | ExportManifest
    return isinstance(manifest, kinds) and manifest.made.store == identity


def forget_in_results(
    folders: Sequence[Path], traces: Traces, renumbered: Renumbered, *, apply: bool
) -> tuple[list[ResultForgotten], dict[Path, str]]:
    """Remove a person from results, or list what is there.

    Returns
    -------
    found : list of ResultForgotten
    failures : dict of Path to str
        Folders that could not be read or written, with the reason.
    """
    boxes = boxes_by_image(traces.places)

    def is_at_place(face: FaceEntry) -> bool:
        of_person = boxes.get(face.image)
        mine = np.array([face.box], np.float32)
        return of_person is not None and bool(
            best_partners(mine, of_person, min_iou=SAME_FACE_OVERLAP)[0] >= 0
        )

    erasing = ErasureInResult(is_at_place, renumbered, frozenset(map(folded, traces.names)))
    found: list[ResultForgotten] = []
    failures: dict[Path, str] = {}
    for folder in folders:
        try:
            held = forget_in_result(folder, erasing, apply=apply)
        except FacesetsError as error:
            failures[folder] = str(error).removesuffix(".")
            continue
        if held is not None:
            found.append(held)
    return found, failures
