"""Find the people of folders that a user sorted by person.

The folder names its person. The person's faces are those near the centroid of the face that is in most
photos; the others are bystanders.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

import numpy as np

from facesets.clustering.people.splitting import core_members
from facesets.files import printable
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.selection import centroid_of
from facesets.operations.options.declaration import settled
from facesets.operations.options.results import ImportFoldersOptions
from facesets.plurals import counted
from facesets.records import Collection, Float32, Int64
from facesets.results.manifest import Failure

# With at least this number and share of doubtful photos, a folder is reported to show two people.
_DOUBTFUL_PHOTOS = 3
_DOUBTFUL_SHARE = 0.2

_BLOCK_ROWS = 16384


@dataclass(frozen=True, slots=True)
class Identity:
    """The person of folders that the user sorted.

    Attributes
    ----------
    folders : tuple of str
        Absolute paths.
    photos, faces : int
        In the folders.
    core : int64 array
        Rows of the faces there that are this person.
    routed : int64 array
        Rows of further faces of this person, in mixed folders.
    doubtful : int
        Photos with two core faces. A person is in a photo once, so many such photos mean two people.
    """

    label: str
    folders: tuple[str, ...]
    photos: int
    faces: int
    core: Int64
    routed: Int64
    doubtful: int

    @property
    def rows(self) -> Int64:
        """All faces of this person, in the store's order."""
        return np.union1d(self.core, self.routed).astype(np.int64)

    @property
    def warning(self) -> str:
        """Return what the user should check; empty if nothing."""
        if self.doubtful < max(_DOUBTFUL_PHOTOS, _DOUBTFUL_SHARE * self.photos):
            return ""
        return (
            f"{printable(self.label)}: {self.doubtful} of {self.photos} photos show two matching faces. If "
            "they are two people, the face set mixes them: keep only photos of one person in the folder."
        )


def find_identities(
    collection: Collection, folders: SortedFolders, options: ImportFoldersOptions
) -> tuple[list[Identity], list[Failure]]:
    """Find the person of each label, and their faces in the mixed folders.

    Returns
    -------
    identities : list of Identity
        In the order of the labels.
    failures : list of Failure
        Folders without a person, with the reason.
    """
    images = _images_by_label(collection, folders)
    faces = collection.faces
    failures = []
    found: dict[str, tuple[Int64, Int64]] = {}
    for label in sorted(images.rows):
        rows = np.flatnonzero(np.isin(faces.image, images.rows[label])).astype(np.int64)
        core = rows[core_members(faces.embedding[rows], (options.first_threshold, options.second_threshold))]
        if len(core):
            found[label] = rows, core
        else:
            failures.append(
                Failure(images.folders[label][0], _reason_without_person(images.rows[label], rows))
            )
    mixed = np.flatnonzero(np.isin(faces.image, images.mixed)).astype(np.int64)
    centres = [centroid_of(faces.embedding[core]) for _, core in found.values()]
    routed = _within(faces.embedding, mixed, centres, settled(options.route_threshold))
    identities = [
        Identity(
            label=label,
            folders=tuple(images.folders[label]),
            photos=len(images.rows[label]),
            faces=len(rows),
            core=core,
            routed=np.setdiff1d(joining, core),
            doubtful=sum(count > 1 for count in Counter(faces.image[core].tolist()).values()),
        )
        for (label, (rows, core)), joining in zip(found.items(), routed, strict=True)
    ]
    empty = [
        Failure(str(folder), "none of its photos are embedded: embed it first") for folder in images.empty
    ]
    return identities, failures + empty


def _within(embeddings: Float32, rows: Int64, centres: Sequence[Float32], limit: float) -> list[Int64]:
    """Return for each centre the rows within a cosine distance of it."""
    near: list[list[Int64]] = [[np.empty(0, np.int64)] for _ in centres]
    for start in range(0, len(rows) if centres else 0, _BLOCK_ROWS):
        some = rows[start : start + _BLOCK_ROWS]
        close = 1 - embeddings[some] @ np.stack(centres).T <= limit
        for parts, column in zip(near, close.T, strict=True):
            parts.append(some[column])
    return [np.concatenate(parts) for parts in near]


def _reason_without_person(images: Sequence[int], rows: Int64) -> str:
    if not len(rows):
        return f"no face found in its {counted(len(images), 'photo')}"
    return f"its {len(rows)} faces do not match each other: is this one person's folder?"


@dataclass(frozen=True, slots=True)
class _Images:
    """Rows of images by label, with the folders, and of mixed folders; also folders without any."""

    rows: Mapping[str, Sequence[int]]
    folders: Mapping[str, Sequence[str]]
    mixed: Sequence[int]
    empty: Sequence[Path]


def _images_by_label(collection: Collection, folders: SortedFolders) -> _Images:
    """Assign every image to the labels of its paths; of nested folders, the innermost decides."""
    owner = {_parents(str(folder))[0]: label for label, folder in folders.people}
    each_in = {_parents(str(folder))[0] for folder in folders.each_in}
    mixed = {_parents(str(folder))[0] for folder in folders.mixed}
    rows: dict[str, set[int]] = defaultdict(set)
    named: dict[str, set[str]] = defaultdict(set)
    in_mixed: set[int] = set()
    seen: set[str] = set()
    for row, paths in enumerate(collection.images.paths):
        for path in paths:
            parents = _parents(os.path.dirname(path))  # noqa: PTH120 - a million of these
            owned = next(
                (f for f in parents if f in owner or (f not in mixed and _parent(f) in each_in)), None
            )
            if owned is not None:
                label = owner.get(owned) or PurePath(owned).name
                rows[label].add(row)
                named[label].add(owned)
                seen |= {owned, _parent(owned)}
            if not mixed.isdisjoint(parents):
                in_mixed.add(row)
                seen.update(parents)
    requested = [*(folder for _, folder in folders.people), *folders.each_in, *folders.mixed]
    return _Images(
        rows={label: sorted(found) for label, found in rows.items()},
        folders={label: sorted(found) for label, found in named.items()},
        mixed=sorted(in_mixed),
        empty=[folder for folder in requested if _parents(str(folder))[0] not in seen],
    )


@lru_cache(maxsize=1024)
def _parents(directory: str) -> tuple[str, ...]:
    """Return a folder and its parents, the innermost first, without `..`."""
    folder = PurePath(os.path.normpath(directory))
    return (str(folder), *map(str, folder.parents))


def _parent(folder: str) -> str:
    return str(PurePath(folder).parent)
