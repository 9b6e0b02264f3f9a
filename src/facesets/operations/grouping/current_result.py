"""The current state of a result folder: its manifest with the user's later changes."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.records import Collection, Faces, Images
from facesets.results.edits.folder_contents import folder_of
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.user_edits import (
    apply_folder_changes,
    own_names_of,
    recorded_membership,
    refuse_interrupted,
)
from facesets.results.manifest import (
    ClusterManifest,
    FaceEntry,
    PlacedFile,
    RefineManifest,
    every_face,
)
from facesets.results.manifest_json import manifest_file, read_any_manifest
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.safe_folder import SafeFolder


@dataclass(frozen=True)
class CurrentResult:
    """The people of a result folder now.

    Attributes
    ----------
    manifest : ClusterManifest or RefineManifest
        The manifest that its run wrote.
    groups : mapping
        Faces of each person, by the name of the folder.
    single : sequence of FaceEntry
        Faces of no person.
    single_folder : str
        The folder of their photos; empty if they have none.
    unassigned : sequence of FaceEntry
        Faces that the user removed from a folder.
    hidden : mapping
        As `groups`, of people with a deleted folder.
    files : mapping
        Photos of people and of single faces by their current names.
    marks : mapping
        Group to its id.
    learned, warnings : sequence of str
        Sentences on the changes that the next run will apply, and on those without effect.
    since : str
        The version of the manifest.
    sealed : str
        Why the folder cannot be changed now; empty if it can.
    """

    root: Path
    manifest: ClusterManifest | RefineManifest
    groups: Mapping[str, Sequence[FaceEntry]]
    single: Sequence[FaceEntry]
    single_folder: str
    unassigned: Sequence[FaceEntry]
    hidden: Mapping[str, Sequence[FaceEntry]]
    files: Mapping[str, PlacedFile]
    marks: Mapping[str, str] = field(default_factory=dict)
    learned: Sequence[str] = ()
    warnings: Sequence[str] = ()
    since: str = ""
    sealed: str = ""

    def faces_in(self, folder: str) -> Sequence[FaceEntry]:
        """Return the faces of a folder, of a person or of single faces."""
        return self.single if folder == self.single_folder else self.groups.get(folder, ())

    @cached_property
    def _places(self) -> Mapping[tuple[str, str], Sequence[str]]:
        image_of = {path: face.image for face in self._all_faces() for path in face.paths}
        places: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name, put in self.files.items():
            places[folder_of(name), image_of.get(put.source, "")].append(name)
        return places

    @cached_property
    def of_image(self) -> Mapping[str, Sequence[tuple[str, FaceEntry]]]:
        """The faces of each photo, by its sha256, with their folders; empty for an unassigned face."""
        found: dict[str, list[tuple[str, FaceEntry]]] = defaultdict(list)
        for folder, faces in (*self.groups.items(), (self.single_folder, self.single), ("", self.unassigned)):
            for face in faces:
                found[face.image].append((folder, face))
        return found

    def places(self, folder: str, image: str) -> Sequence[str]:
        """Return the files of a photo in a folder: one for each path of it."""
        return self._places.get((folder, image), ())

    def version(self, folder: str) -> str:
        """Return a digest that changes whenever the folder does."""
        text = [folder, *sorted(face.face for face in self.faces_in(folder))]
        text += sorted(name for name in self.files if folder_of(name) == folder)
        return hashlib.sha256("\0".join(text).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def assignments(self) -> dict[str, frozenset[str]]:
        """Return the face ids of each person, and the unassigned ones."""
        groups = {f"group {name}": faces for name, faces in self.groups.items()}
        groups |= {f"hidden {name}": faces for name, faces in self.hidden.items()}
        groups |= {"single": self.single, "unassigned": self.unassigned}
        return {name: frozenset(face.face for face in faces) for name, faces in groups.items() if faces}

    def _all_faces(self) -> Iterator[FaceEntry]:
        for faces in (*self.groups.values(), self.single, self.unassigned, *self.hidden.values()):
            yield from faces


def read_result(root: Path) -> CurrentResult:
    """Read a folder that `cluster` or `refine` wrote.

    Raises
    ------
    WrongUsage
        The folder holds no such result, or the user's changes there are ambiguous.
    DamagedFile, NewerFormat
        Its manifest cannot be read.
    """
    try:
        status = manifest_file(root).stat()
    except OSError:
        made = _read_made.__wrapped__(root, (0, 0, 0))
    else:
        made = _read_made(root, (status.st_ino, status.st_mtime_ns, status.st_size))
    sealed = _reason_sealed(root, made.manifest)
    membership = made.membership.copy()
    if not sealed:
        apply_folder_changes(root, membership, own_names_of(made.manifest, root))
    return CurrentResult(
        root=root,
        manifest=made.manifest,
        groups=membership.groups,
        single=membership.single,
        single_folder=membership.single_folder,
        unassigned=membership.set_aside,
        hidden=membership.hidden,
        files=membership.files,
        marks=membership.marks,
        learned=membership.learned,
        warnings=membership.warnings,
        since=_since(root),
        sealed=sealed,
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A result as its run left it."""

    manifest: ClusterManifest | RefineManifest
    membership: GroupMembership


@lru_cache(maxsize=1)
def _read_made(root: Path, state: tuple[int, int, int]) -> _Made:  # noqa: ARG001 - which file it was
    """Read the result as its run left it; cached until the manifest changes, as reading may take long."""
    manifest = read_any_manifest(root)
    if not isinstance(manifest, ClusterManifest | RefineManifest) or not root.is_dir():
        raise WrongUsage(f"{printable(root)} holds no people. Give a result folder of cluster or refine.")
    return _Made(manifest, recorded_membership(manifest, _as_collection(manifest)))


def _reason_sealed(root: Path, manifest: ClusterManifest | RefineManifest) -> str:
    try:
        refuse_interrupted(root, resumed_by="")
    except WrongUsage as error:
        return f"A command is working on this folder. Wait for it to finish. If none is running: {error}"
    if SafeFolder(root).exists(ANNOUNCEMENT):
        return (
            "A command is working on this folder. Wait for it to finish. If none is running, one was "
            "interrupted: run it again first."
        )
    if not manifest.files:
        return "This folder holds no photos, so nothing can be moved. Run the command again with photos."
    return ""


def _since(root: Path) -> str:
    status = manifest_file(root).stat()
    return f"{status.st_mtime_ns}-{status.st_size}"


def _as_collection(manifest: ClusterManifest | RefineManifest) -> Collection:
    """Return the photos of a manifest, without embeddings."""
    paths = {face.image: face.paths for face in every_face(manifest)}
    count = len(paths)
    images = Images(
        sha256=np.array([sha256.encode() for sha256 in paths], "S64"),
        width=np.zeros(count, np.int64),
        height=np.zeros(count, np.int64),
        taken=np.full(count, "NaT", "datetime64[s]"),
        fingerprint=np.zeros((count, 32), np.uint8),
        paths=tuple(paths.values()),
    )
    return Collection(images, Faces.empty(manifest.made.models.dimension), manifest.made.models)


@dataclass(slots=True)
class ResultReader:
    """Reads a result again only after its folders changed. Not thread-safe."""

    root: Path
    _seen: object = field(default=None, init=False)
    _now: CurrentResult | None = field(default=None, init=False)

    def read(self) -> CurrentResult:
        """Return the current result; errors as `read_result`."""
        seen = _traces(self.root)
        if self._now is None or seen != self._seen:
            self._now, self._seen = read_result(self.root), seen
        return self._now

    def forget(self) -> None:
        """Make the next read complete: times of folders may be too coarse for a recent change."""
        self._now = None


def _traces(root: Path) -> list[tuple[str, int, int, int]]:
    """Return values that change whenever a name in a folder of the result does."""
    folder = SafeFolder(root)
    found = []
    for name in folder.names_in():
        status = folder.status(name)
        if status is not None:
            found.append((name, status.st_ino, status.st_mtime_ns, status.st_size))
    return found
