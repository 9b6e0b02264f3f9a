"""Names in a result folder, in the form that `people import` takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from facesets import __version__
from facesets.errors import Command, WrongUsage
from facesets.files import printable
from facesets.operations.people.exchange.people_file import (
    FileFace,
    FileFaceCorrection,
    FilePerson,
    PeopleFile,
)
from facesets.records import Collection, Faces, Images
from facesets.results.earlier_export import ERA, EarlierExport
from facesets.results.edits.membership import verdicts
from facesets.results.edits.user_edits import read_membership, refuse_interrupted
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest import ClusterManifest, Correction, FaceEntry, RefineManifest
from facesets.results.manifest_json import read_any_manifest
from facesets.results.names.group_names import NUMBERED_GROUP
from facesets.results.names.names_file import is_person_name
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.images import load_images

_LOOKED_AT = 3
"""Number of best faces in a named folder that count as confirmed by the user."""


@dataclass(frozen=True, slots=True)
class FolderFaces:
    """The faces of a named folder.

    Attributes
    ----------
    corrections : mapping
        By id of a face, whether the user confirmed or denied the person.
    """

    name: str
    faces: Sequence[FaceEntry]
    corrections: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Brought:
    """People in the form of a file, and the faces that their folders show, by position."""

    file: PeopleFile
    members: dict[int, list[int]]


def people_of_result(library: Library, folder: Path) -> Brought:
    """Return the named people in a result folder of `cluster` or `refine`, or in an export.

    Raises
    ------
    WrongUsage
        The folder holds no result, a run there was interrupted, or the library is empty.
    DamagedFile, NewerFormat
        Its manifest cannot be read.
    """
    settings = library.settings
    if settings is None:
        index = Command("index", "PHOTOS")
        raise WrongUsage(f"There are no faces in {library.label} yet. Run {index} first.")
    images = library.database.run(_images, library)
    manifest = read_any_manifest(folder)
    if isinstance(manifest, ExportManifest):
        found = _of_export(EarlierExport(folder, manifest))
    elif isinstance(manifest, ClusterManifest | RefineManifest):
        refuse_interrupted(folder, resumed_by="extend")
        collection = Collection(images, Faces.empty(settings.dimension), settings)
        known = read_membership(manifest, folder, collection)
        found = [
            FolderFaces(name, faces, _corrections_of(known.corrections, name))
            for name, faces in known.groups.items()
        ]
    else:
        raise WrongUsage(
            f"{printable(folder)} contains no people. Give a result folder that is sorted by person."
        )
    return brought(images, found)


def _images(connection: Connection, library: Library) -> Images:
    detector = library.detector(connection)
    return load_images(connection, -1 if detector is None else detector.id)[1]


def _of_export(export: EarlierExport) -> list[FolderFaces]:
    corrections = export.corrections
    return [
        FolderFaces(
            entry.name,
            [item.face for item in export.sets.read(entry.name).faces],
            _corrections_of(corrections.corrections, entry.name),
        )
        for entry in export.entries
        if entry.kind != ERA
    ]


def _corrections_of(corrections: Iterable[Correction], group: str) -> dict[str, bool]:
    return {face: is_person for (name, face), is_person in verdicts(corrections).items() if name == group}


def brought(images: Images, people: Iterable[FolderFaces]) -> Brought:
    """Return people of folders in the form of a file, without those who have only a number."""
    size = {
        sha256.decode(): (int(width), int(height))
        for sha256, width, height in zip(images.sha256.tolist(), images.width, images.height, strict=True)
    }
    named = [each for each in people if is_person_name(each.name) and not NUMBERED_GROUP.fullmatch(each.name)]
    place: dict[str, int] = {}
    faces: list[FileFace] = []
    corrections: list[FileFaceCorrection] = []
    members: dict[int, list[int]] = {}
    for number, each in enumerate(named):
        for face in each.faces:
            if face.face not in place:
                place[face.face] = len(faces)
                faces.append(FileFace(face.image, *size.get(face.image, (1, 1)), face.box))
        best = sorted(each.faces, key=lambda face: (-face.quality, face.face))
        looked_at = [face.face for face in best if each.corrections.get(face.face, True)][:_LOOKED_AT]
        verdict = {**dict.fromkeys(looked_at, True), **each.corrections}
        corrections += [
            FileFaceCorrection(place[face], number, is_person)
            for face, is_person in verdict.items()
            if face in place
        ]
        members[number] = [place[face.face] for face in each.faces]
    file = PeopleFile(
        program=__version__,
        library="",
        people=tuple(FilePerson(_identity(each.name), (each.name,)) for each in named),
        faces=tuple(faces),
        of_faces=tuple(corrections),
    )
    return Brought(file, members)


def _identity(name: str) -> UUID:
    """Return an id for a person known only by name; another name gives another id."""
    return uuid5(NAMESPACE_URL, f"facesets:person:{name}")
