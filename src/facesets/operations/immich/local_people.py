"""The people in the photos according to our own stores."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.interfaces import Store
from facesets.operations.immich.server import comparable
from facesets.records import Float32, Int64
from facesets.results.edits.user_edits import read_membership, refuse_interrupted
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_any_manifest
from facesets.results.names.group_names import NUMBERED_GROUP
from facesets.results.preflight import require_same_faces
from facesets.store.postgres.library import Library
from facesets.store.postgres.photo_details import people_on_images

_IMAGES_AT_A_TIME = 5000
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class LocalPerson:
    """A person in our store.

    Attributes
    ----------
    name : str
        Empty if the person has no name, or none to be shown.
    names : frozenset of str
        All names by which the person is known, comparable.
    """

    name: str
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LocalPhoto:
    """The faces of one image.

    Attributes
    ----------
    width, height : int
        Of the upright image, in pixels.
    box : float32 array of shape (n, 4)
        x1, y1, x2, y2.
    person : int64 array of shape (n,)
        Index into the people; -1 for unassigned faces.
    """

    width: int
    height: int
    box: Float32
    person: Int64


@dataclass(slots=True)
class LocalPeople:
    """People, and their photos by sha256. `unfit` are names that no server can store."""

    persons: list[LocalPerson] = field(default_factory=list)
    photos: dict[str, LocalPhoto] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)

    def has_named(self, photo: LocalPhoto) -> bool:
        """Whether any photo shows a named person."""
        return any(number >= 0 and self.persons[number].name for number in photo.person.tolist())


def sendable_name(name: str) -> str | None:
    """Return a name as a server accepts it; None if it is invalid or too long."""
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    is_text = all(unicodedata.category(char) not in ("Cc", "Cs") for char in tidy)
    return tidy if tidy and is_text and len(tidy) <= _LONGEST_NAME else None


def people_of_library(library: Library, contents: Sequence[str]) -> LocalPeople:
    """Return the people of the library in these photos."""
    ours = LocalPeople()
    numbers: dict[str, int] = {}
    for start in range(0, len(contents), _IMAGES_AT_A_TIME):
        chunk = contents[start : start + _IMAGES_AT_A_TIME]
        images, persons = library.database.run(people_on_images, library, chunk)
        for row in persons:
            if row.id not in numbers:
                numbers[row.id] = len(ours.persons)
                ours.persons.append(_person(row.names if row.is_active else (), ours.unfit))
        for image in images:
            person = [numbers[identity] if identity else -1 for identity in image.person]
            ours.photos[image.sha256] = LocalPhoto(
                image.width,
                image.height,
                np.array(image.box, np.float32).reshape(-1, 4),
                np.array(person, np.int64),
            )
    return ours


def people_of_folder(store: Store, folder: Path, contents: Sequence[str]) -> LocalPeople:
    """Return the people of a result folder that the user named.

    Photos that the user moved, copied or deleted there count as the user left them.

    Raises
    ------
    WrongUsage
        The folder holds no such result, or one of other faces than the store's, or an interrupted run.
    DamagedFile, NewerFormat
        Its manifest cannot be read.
    """
    manifest = read_any_manifest(folder)
    if not isinstance(manifest, ClusterManifest | RefineManifest):
        raise WrongUsage(f"{printable(folder)} has no people. Give a result folder of cluster or refine.")
    collection = store.load()
    require_same_faces(collection.settings, manifest.made.models, folder)
    refuse_interrupted(folder, resumed_by="extend")
    known = read_membership(manifest, folder, collection)
    ours = LocalPeople()
    owner: dict[str, int] = {}
    for name, faces in known.groups.items():
        owner |= dict.fromkeys((face.face for face in faces), len(ours.persons))
        ours.persons.append(_person([] if NUMBERED_GROUP.fullmatch(name) else [name], ours.unfit))
    wanted = np.isin(collection.images.sha256, np.array([each.encode() for each in contents], "S64"))
    person = np.array([owner.get(face, -1) for face in collection.face_ids()], np.int64)
    of_image = np.argsort(collection.faces.image, kind="stable")
    bounds = np.searchsorted(collection.faces.image[of_image], np.arange(len(collection.images) + 1))
    for row in np.flatnonzero(wanted).tolist():
        faces_here = of_image[bounds[row] : bounds[row + 1]]
        ours.photos[collection.images.sha256[row].decode()] = LocalPhoto(
            int(collection.images.width[row]),
            int(collection.images.height[row]),
            collection.faces.box[faces_here],
            person[faces_here],
        )
    return ours


def _person(names: Iterable[str], unfit: list[str]) -> LocalPerson:
    given = tuple(names)
    if not given:
        return LocalPerson("")
    name = sendable_name(given[0])
    if name is None:
        unfit.append(given[0])
        return LocalPerson("")
    return LocalPerson(name, frozenset(map(comparable, given)))


def assets_of_contents(records: Iterable[Mapping[str, object]]) -> dict[str, list[tuple[str, bool]]]:
    """Return the staged assets by content, and whether each was edited on the server.

    Returns
    -------
    dict
        From sha256 to asset ids and whether the server shows an edited picture.
    """
    sha1_of: dict[str, str] = {}
    sha256_of: dict[str, str] = {}
    edited: set[str] = set()
    for row in records:
        asset, sha1 = str(row["asset_id"]), str(row["sha1"])
        if row["outcome"] not in ("staged", "known", "alias"):
            sha1_of.pop(asset, None)
            continue
        sha1_of[asset] = sha1
        if "sha256" in row:
            sha256_of[sha1] = str(row["sha256"])
        if row.get("edited"):
            edited.add(asset)
    assets: dict[str, list[tuple[str, bool]]] = {}
    for asset, sha1 in sorted(sha1_of.items()):
        if sha1 in sha256_of:
            assets.setdefault(sha256_of[sha1], []).append((asset, asset in edited))
    return assets
