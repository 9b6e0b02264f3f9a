"""The library as a `Store`: the faces of one detector."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from facesets.errors import Command, WrongUsage
from facesets.file_records import FileRecord
from facesets.library_records import (
    ClipRow,
    GalleryLink,
    GalleryRow,
    KnownFile,
    KnownPerson,
    PendingPhoto,
    PhotosOfStage,
    RecordedRun,
    UnchangedFiles,
)
from facesets.path_map import SAME_PATHS, PathMap
from facesets.records import CacheSettings, ClipModel, Collection, ImageRecord, Wanted
from facesets.store.postgres import models, writing
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import analyze_grown
from facesets.store.postgres.migrate import identity_of
from facesets.store.postgres.paths import fits
from facesets.store.postgres.people import persons
from facesets.store.postgres.people.person_corrections import corrected_people
from facesets.store.postgres.photos import (
    face_attributes,
    faces,
    galleries,
    image_paths,
    images,
    known_files,
    missing,
    stages,
)
from facesets.store.postgres.runs import note_results, recorded_run

A = TypeVar("A")
T = TypeVar("T")

_FORGOTTEN_AT_ONCE = 5_000


class Library:
    """A Postgres library, limited to one detector and recognition model.

    May be used from several threads. `database` is the session with the server.
    """

    def __init__(
        self,
        database: Database,
        settings: CacheSettings | None = None,
        *,
        clip: ClipModel | None = None,
        searched: bool = True,
        paths: PathMap = SAME_PATHS,
    ) -> None:
        """Open a library.

        Parameters
        ----------
        database : Database
            With a current schema.
        settings : CacheSettings, optional
            The models whose faces to use; by default those that searched most images.
        clip : ClipModel, optional
            An image counts as known only with an embedding by this model.
        searched : bool
            An image counts as known only if it was searched for faces.
        paths : PathMap
            Where its folders are on this host: methods for adding photos use paths of this host.
            Those of `load`, `files`, `unchanged_below`, `pending` and `relocate_paths` are the library's.
        """
        self.database = database
        self._given = settings
        self._clip = clip
        self._searched = searched
        self._paths = paths

    @property
    def kind(self) -> Literal["library"]:
        """A library."""
        return "library"

    @property
    def label(self) -> str:
        """The name for messages."""
        return self.database.label

    @property
    def identity(self) -> str:
        """The creation time of its schema, unique to the library and preserved by backups."""
        return self.database.run(identity_of)

    @property
    def names_file(self) -> None:
        """None: results of a library use the names of its people."""

    @property
    def settings(self) -> CacheSettings | None:
        """The models of its embeddings; None while it is empty."""
        detector = self.database.run(self.detector)
        return self._given if detector is None else detector.settings

    def searched_by(self) -> CacheSettings | None:
        """The models that searched most images; None while there are none."""
        return self.database.run(models.usual_settings)

    def has_people(self) -> bool:
        """Whether the library has any person, named or not."""
        return self.database.run(persons.any_person)

    def corrected_people(self) -> list[KnownPerson]:
        """Return the people with corrections, and their faces."""
        return self.database.run(lambda connection: corrected_people(connection, self.detector(connection)))

    def note_results(self, folders: Iterable[Path]) -> None:
        """Record folders that will hold results of the library."""
        self.database.run(note_results, folders)

    def detector(self, connection: Connection) -> models.DetectorRow | None:
        """The row of the current detector; None before its first search."""
        if self._given is not None:
            return models.find_detector(connection, self._given)
        known = models.detectors(connection)
        return known[0] if known else None

    def _detector_id(self, connection: Connection) -> int | None:
        detector = self.detector(connection)
        return None if detector is None else detector.id

    def _known_criteria(self, connection: Connection) -> known_files.KnownCriteria:
        return known_files.KnownCriteria(
            searched_by=self._detector_id(connection),
            must_be_searched=self._searched,
            embedded_by=None if self._clip is None else models.find_clip_model(connection, self._clip),
            must_be_embedded=self._clip is not None,
        )

    def _seek(self, ask: Callable[[Connection, known_files.KnownCriteria, A], T], files: A) -> T:
        """Look up files by path or content."""
        return self.database.run(lambda connection: ask(connection, self._known_criteria(connection), files))

    def require_detector(self, connection: Connection) -> models.DetectorRow:
        """Like `detector`. Raises `WrongUsage` before its first search."""
        detector = self.detector(connection)
        if detector is None:
            raise WrongUsage(f"There are no faces in {self.label} yet. Run {Command('index', 'PHOTOS')}.")
        return detector

    def require(self, settings: CacheSettings) -> None:
        """Use the faces of these settings from now on."""
        self._given = settings

    def looking_for(self, faces_from: CacheSettings | None, clip_from: ClipModel | None) -> "Library":
        """Return the library, counting images as known if they have these faces and embeddings.

        None means not required. Everything stored through the returned library comes from these models.
        """
        searched = faces_from is not None
        return Library(self.database, faces_from, clip=clip_from, searched=searched, paths=self._paths)

    def claims(self, kind: Literal["path", "content"]) -> Claims:
        """Return claims on things of one kind, held by this session."""
        return Claims(self.database, kind, self._paths)

    def recorded_run(
        self, command: str, options: Mapping[str, Any], *, dry_run: bool = False
    ) -> AbstractContextManager[RecordedRun]:
        """Record a run from start to end, unless it is a dry run."""
        return recorded_run(self.database, command, options, dry_run=dry_run)

    def fits(self, path: str) -> bool:
        """Whether a path is short enough to be stored."""
        return fits(self._paths.known(path))

    def clip_models(self) -> list[ClipRow]:
        """Return the CLIP models, the one with most images first."""
        return self.database.run(models.clip_models)

    @contextmanager
    def writing(self, settings: CacheSettings) -> Iterator[None]:
        """Set the models of what is committed in the block; several writers are allowed."""
        self.require(settings)
        yield
        self.database.run(analyze_grown)

    def exists(self) -> bool:
        """Whether anything was ever stored with these models."""
        return self.database.run(self.detector) is not None

    def load(self) -> Collection:
        """Load all images that still have a path, and their faces, in one snapshot.

        Raises
        ------
        WrongUsage
            Nothing was indexed yet.
        """
        return self.database.run(self._load)

    def _load(self, connection: Connection) -> Collection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        detector = self.require_detector(connection)
        image_ids, of_images = images.load_images(connection, detector.id)
        return Collection(of_images, faces.load_faces(connection, detector, image_ids), detector.settings)

    def files(self) -> Mapping[str, FileRecord]:
        """Return the record of every path."""
        return self.database.run(image_paths.file_records)

    def has_image(self, sha256: str) -> bool:
        """Whether a content was searched for faces."""
        return bool(self.has_images([sha256]))

    def has_images(self, sha256: Sequence[str]) -> set[str]:
        """Return which contents were searched for faces."""
        return self._seek(known_files.searched_images, sha256)

    def lacking(self, sha256: str) -> tuple[bool, Wanted]:
        """Return whether a content is known, and what it lacks."""
        return self._seek(known_files.lacking, sha256)

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        """Store these, all or nothing, replacing older records; faces keep their people by box."""
        self.add(files, images, replaces=True)

    def annotate(self, images: Sequence[ImageRecord]) -> None:
        """Store what `enrich` found about existing faces, all or nothing."""
        self.database.run(self._annotate, images)

    def _annotate(self, connection: Connection, images: Sequence[ImageRecord]) -> None:
        detector = self.detector(connection)
        if detector is not None:
            face_attributes.annotate_faces(connection, detector, images)

    def add(
        self,
        files: Sequence[FileRecord],
        images: Sequence[ImageRecord],
        gallery_numbers: Mapping[str, int] | None = None,
        *,
        replaces: bool = False,
    ) -> None:
        """Add these, all or nothing; existing images stay unless `replaces` is set."""
        known = self._paths.known
        self.database.run(
            writing.write,
            [replace(file, path=known(file.path)) for file in files],
            images,
            {known(path): number for path, number in (gallery_numbers or {}).items()},
            faces_from=self._given,
            clip_from=self._clip,
            replace=replaces,
        )

    def pending(self, photos: PhotosOfStage, *, after: int, limit: int) -> list[PendingPhoto]:
        """Return the next photos for an analysis step, with numbers beyond `after`, ascending."""
        return self.database.run(
            lambda connection: stages.pending(
                connection, photos, self._detector_id(connection), after=after, limit=limit
            )
        )

    def count_pending(self, photos: PhotosOfStage) -> int:
        """Count the photos for an analysis step."""
        return self.database.run(stages.count_pending, photos)

    def store_findings(self, images: Sequence[ImageRecord]) -> set[str]:
        """Store results of analysis steps for existing images, all or nothing.

        Photos whose faces changed meanwhile stay pending for steps that use faces. Returns the contents of
        the others.
        """
        return self.database.run(
            lambda connection: writing.write_findings(connection, images, self._detector_id(connection))
        )

    def known_below(self, roots: Sequence[str]) -> dict[str, KnownFile]:
        """Return the records of paths below some directories."""
        return self._here(self._seek(known_files.known_below, self._known(roots)))

    def unchanged_below(self, roots: Sequence[str]) -> UnchangedFiles:
        """Return files below some directories that `index` can skip."""
        return self._seek(known_files.unchanged_below, roots)

    def seen_at(self, paths: Sequence[str]) -> dict[str, KnownFile]:
        """Return the records of these exact paths."""
        return self._here(self._seek(known_files.seen_at, self._known(paths)))

    def forget_paths(self, paths: Sequence[str]) -> None:
        """Remove missing paths; their images and faces stay and are found again by content."""
        known = self._known(paths)
        for start in range(0, len(known), _FORGOTTEN_AT_ONCE):
            self.database.run(image_paths.forget_paths, known[start : start + _FORGOTTEN_AT_ONCE])

    def relocate_paths(self, old: str, new: str, paths: Mapping[str, str]) -> None:
        """Relocate paths from one folder to another, with their galleries."""

        def work(connection: Connection) -> None:
            image_paths.relocate_paths(connection, paths)
            image_paths.relocate_galleries(connection, old, new)

        self.database.run(work)

    def paths_with(self, sha256: Sequence[str]) -> dict[str, list[str]]:
        """Return the paths of each of these images that this host can see."""
        here, covers = self._paths.here, self._paths.covers
        found = self.database.run(image_paths.paths_with, sha256)
        return {sha: [here(path) for path in paths if covers(path)] for sha, paths in found.items()}

    def note_missing(
        self, roots: Sequence[str] | None, find_missing: missing.FindMissing, is_there: missing.IsThere
    ) -> int:
        """As `missing.note_missing`."""
        return missing.note_missing(self.database, roots, find_missing, is_there, self._paths)

    def store_galleries(self, rows: Sequence[GalleryRow]) -> dict[str, int]:
        """Insert or update galleries; return the number of each by path."""
        known = [replace(row, path=self._paths.known(row.path)) for row in rows]
        return self._here(self.database.run(galleries.store_galleries, known))

    def linked_at(self, paths: Sequence[str]) -> set[GalleryLink]:
        """Return the galleries of these exact paths."""
        links = self.database.run(galleries.linked_at, self._known(paths))
        here = self._paths.here
        return {GalleryLink(here(link.directory), link.gallery and here(link.gallery)) for link in links}

    def assign_to_galleries(self, directories: Mapping[str, int]) -> None:
        """Assign the known paths in these directories to galleries, by number."""
        known = {self._paths.known(path): number for path, number in directories.items()}
        self.database.run(galleries.assign_to_galleries, known)

    def _known(self, paths: Sequence[str]) -> list[str]:
        return [self._paths.known(path) for path in paths]

    def _here(self, of_paths: dict[str, T]) -> dict[str, T]:
        if not self._paths.pairs:
            return of_paths  # which may be a million
        return {self._paths.here(path): value for path, value in of_paths.items()}
