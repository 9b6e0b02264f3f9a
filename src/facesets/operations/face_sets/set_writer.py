"""Write one face set: PNGs in rank order, candidates, bundles, and its manifest last."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np

from facesets.errors import FacesetsError, UnreadableImage
from facesets.files import sha256_of
from facesets.formats.crops import Square, cut, square_around
from facesets.imaging.decode import decode
from facesets.imaging.encode import png_bytes
from facesets.imaging.originals import read_row
from facesets.interfaces import Progress
from facesets.operations.face_sets.export_run import ExportRun
from facesets.operations.face_sets.new_set import PlannedSet
from facesets.operations.face_sets.selection import (
    Drop,
    Selection,
    centroid_of,
    collapse_duplicates,
    select_faces,
)
from facesets.operations.face_sets.set_outputs import possible_outputs, write_outputs
from facesets.operations.face_sets.single_face_crop import (
    CropRules,
    Refused,
    SingleFace,
    Subject,
    single_face_crops,
)
from facesets.operations.options.results import LOADER_MIN_DET_SCORE
from facesets.records import Faces
from facesets.results.crop_names import files_of_entry
from facesets.results.edits.crop_edits import given_name
from facesets.results.edits.set_edits import SetManifests, is_untouched
from facesets.results.export_manifest import Content, ExportedFace, QualityParts, SetEntry, SetManifest
from facesets.results.folder import ResultFolder
from facesets.results.gates import NO_FACE_FOUND, TAKEN_OUT
from facesets.results.inside import is_inside
from facesets.results.manifest import SET_MANIFEST, DroppedFace, Failure, Provenance, face_describer, rounded
from facesets.results.manifest_json import manifest_bytes, read_manifest
from facesets.results.names.group_names import CANDIDATES, candidate_name, names_of_set, png_name

# Photos held in memory at a time; their first crops go to the embedder together.
_TOGETHER = 8


@dataclass(slots=True)
class _Written:
    faces: list[tuple[int, str, SingleFace]]
    dropped: list[Drop]
    failed: list[Failure]
    stopped: bool = False


class SetWriter:
    """Writes the sets of one export into its folder."""

    def __init__(self, folder: ResultFolder, run: ExportRun, made: Provenance) -> None:
        """Take the data of the run."""
        self._folder = folder
        self._run = run
        self._made = made
        self._collection = run.collection
        self._options = run.options
        self._ids = run.ids
        self._describe = face_describer(run.collection, run.rating)
        self._rules = CropRules(
            run.options.out_size, run.options.pad_ratio, run.options.verify_max_distance, LOADER_MIN_DET_SCORE
        )

    def possible_names(self, sets: Iterable[PlannedSet]) -> Iterator[str]:
        """Yield every file that writing these sets may make."""
        sets = list(sets)
        most = max((len(planned.rows) for planned in sets if planned.is_numbered), default=0)
        for planned in sets:
            faces = most if planned.is_numbered else len(planned.rows)
            others = [*possible_outputs(planned.name, faces, self._options), *planned.markers]
            yield from names_of_set(planned.name, faces, len(planned.candidates), others)

    def finished_before(self, planned: PlannedSet) -> SetManifest | None:
        """Return the set's manifest if an earlier run made the set completely from the same inputs."""
        if f"{planned.name}/{SET_MANIFEST}" not in self._folder.owned:
            return None
        manifest = finished_set(self._folder.root, planned)
        if manifest is None:
            return None
        self._folder.retain(manifest.files)
        return manifest

    def leave(self, entry: SetEntry) -> None:
        """Leave a set without readable photos as an earlier run made it.

        It lacks crops that were set aside, until photos can be read again.
        """
        sets = SetManifests(self._folder.root)
        self._folder.retain(files_of_entry(sets, entry))
        manifest = sets.find(entry.name)
        if manifest is None:
            return
        there = tuple(i for i in manifest.faces if self._folder.inside.exists(f"{entry.name}/{i.file}"))
        if len(there) < len(manifest.faces):
            left = replace(manifest, faces=there, inputs="")
            self._folder.write(f"{entry.name}/{SET_MANIFEST}", manifest_bytes(left))

    def write(self, planned: PlannedSet) -> SetManifest | None:
        """Write one set; None if asked to stop before its end.

        Nothing is written for a set without a face that passes.

        Raises
        ------
        SourceGone
            Photos became unavailable: the set stays as it is until the run is completed.
        """
        progress = self._run.work.progress
        selection = select_faces(
            self._collection.faces, planned.rows, self._run.rating, self._options, given=planned.given
        )
        progress.advance(len(planned.rows) - len(selection.rows))
        collapse_duplicates(selection, self._collection, self._ids, self._options)
        progress.advance(sum(len(lost) for lost in selection.duplicates.values()))
        given = {
            int(row): path
            for row in planned.given
            if (path := self._folder.root / given_name(planned.name, self._ids[row])).is_file()
        }
        named = partial(png_name, planned.name)
        passed = self._write_crops(planned.name, selection.rows, progress, named, given)
        candidates = list(planned.candidates) if passed.faces else []
        named = partial(candidate_name, planned.name)
        review = self._write_crops(f"{CANDIDATES}/{planned.name}", candidates, None, named)
        if passed.stopped or review.stopped:
            return None
        if not passed.faces:
            return self._manifest(planned, selection, passed, review, ())
        bundles = write_outputs(self._folder, self._run, planned.name, passed.faces)
        for marker, text in planned.markers.items():
            self._folder.write(f"{planned.name}/{marker}", text.encode())
        manifest = self._manifest(planned, selection, passed, review, bundles)
        self._folder.write(f"{planned.name}/{SET_MANIFEST}", manifest_bytes(manifest))
        return manifest

    def _write_crops(
        self,
        directory: str,
        rows: Iterable[int],
        progress: Progress | None,
        named: Callable[[int], str],
        given: Mapping[int, Path] = MappingProxyType({}),
    ) -> _Written:
        """Write a crop for each row that passes; `given` rows have one that the user put into the set.

        `named` gives the file name of a rank.
        """
        written = _Written([], [], [])
        remaining = iter(int(row) for row in rows)
        while some := list(islice(remaining, _TOGETHER)):
            if self._run.work.stop.requested:
                written.stopped = True
                break
            subjects = self._subjects([row for row in some if row not in given], written)
            results = single_face_crops(list(subjects.values()), self._run.embedder, self._rules)
            made: dict[int, SingleFace | Refused] = dict(zip(subjects, results, strict=True))
            made |= {row: self._as_given(row, given[row]) for row in some if row in given}
            for row, result in ((row, made[row]) for row in some if row in made):
                if isinstance(result, Refused):
                    written.dropped.append(Drop(row, result.gate, result.value, result.limit))
                    continue
                name = f"{directory}/{named(len(written.faces))}"
                self._folder.write(name, png_bytes(result.crop))
                written.faces.append((row, name, result))
            if progress:
                progress.advance(len(some))
        return written

    def _as_given(self, row: int, path: Path) -> SingleFace | Refused:
        """Return a crop that the user put into the set, scaled to the size of the others."""
        try:
            pixels = decode(str(path)).pixels
        except UnreadableImage:
            return Refused(NO_FACE_FOUND, 0, self._rules.min_subject_score)
        images, faces = self._collection.images, self._collection.faces
        image = int(faces.image[row])
        width, height = int(images.width[image]), int(images.height[image])
        square = square_around(faces.box[row], width, height, self._rules.pad_ratio)
        whole = Square(0, 0, min(pixels.shape[:2]))
        crop = cut(pixels, whole, self._rules.size)
        (found,) = self._run.embedder.embed([crop])
        if not len(found):
            found, similarity = _as_stored(faces.take(np.array([row])), square, self._rules.size), [0.0]
        else:
            similarity = (found.embedding @ faces.embedding[row]).tolist()
        best = int(np.argmax(similarity))
        return SingleFace(crop, square, 0, similarity[best], found.take(slice(best, best + 1)))

    def _subjects(self, rows: Sequence[int], written: _Written) -> dict[int, Subject]:
        faces = self._collection.faces
        subjects = {}
        for row in rows:
            image = int(faces.image[row])
            try:
                pixels = read_row(self._collection.images, image)
            except UnreadableImage as error:
                self._run.sources.one_failed()
                written.failed.append(Failure(self._collection.images.paths[image][0], error.reason))
                continue
            subjects[row] = Subject(pixels, faces.box[row], faces.embedding[row])
        return subjects

    def _manifest(
        self,
        planned: PlannedSet,
        selection: Selection,
        passed: _Written,
        review: _Written,
        bundles: tuple[str, ...],
    ) -> SetManifest:
        directory = planned.name
        centroid = centroid_of(self._collection.faces.embedding[[row for row, _, _ in passed.faces]])
        if not passed.faces:
            centroid = selection.centroid
        unwanted = [Drop(int(row), TAKEN_OUT, 1, 0, "by you") for row in planned.taken_out]
        dropped = (*selection.dropped, *passed.dropped, *unwanted)
        names = [name for part in (passed, review) for _, name, _ in part.faces]
        return SetManifest(
            made=self._made,
            name=directory,
            inputs=planned.inputs,
            centroid=rounded(centroid, 6),
            faces=tuple(self._exported(item, selection.distance, selection) for item in passed.faces),
            candidates=tuple(self._exported(item, planned.candidates, selection) for item in review.faces),
            dropped=tuple(
                DroppedFace(
                    self._describe(drop.row), directory, drop.gate.name, drop.value, drop.limit, drop.detail
                )
                for drop in dropped
            ),
            failed=(*passed.failed, *review.failed),
            bundles=bundles,
            contents={
                name: _content(self._folder.root / directory / name)
                for name in (*(PurePosixPath(file).name for _, file, _ in passed.faces), *bundles)
            },
            files=tuple(
                sorted(
                    [
                        *names,
                        *(f"{directory}/{other}" for other in (*bundles, *planned.markers)),
                        f"{directory}/{SET_MANIFEST}",
                    ]
                )
            ),
        )

    def _exported(
        self, item: tuple[int, str, SingleFace], distance: Mapping[int, float], selection: Selection
    ) -> ExportedFace:
        row, name, crop = item
        parts = {
            f.name: round(float(getattr(self._run.parts, f.name)[row]), 4) for f in fields(self._run.parts)
        }
        return ExportedFace(
            file=PurePosixPath(name).name,
            face=self._describe(row),
            quality=QualityParts(**parts, total=round(float(self._run.rating[row]), 4)),
            crop=(crop.square.x, crop.square.y, crop.square.edge),
            masked=crop.masked,
            centroid_cosine_distance=distance[row],
            crop_cosine_similarity=round(crop.cosine_similarity, 4),
            duplicates=tuple(self._ids[lost] for lost in selection.duplicates.get(row, ())),
        )


def _as_stored(face: Faces, square: Square, size: int) -> Faces:
    """Return a face of the store in coordinates of a crop."""
    box, kps = square.box_to_crop(face.box, size), square.to_crop(face.kps, size)
    return replace(face, box=box, kps=kps, landmark_2d_106=None, landmark_3d_68=None)


def _content(path: Path) -> Content:
    return Content(path.stat().st_size, sha256_of(path))


def finished_set(root: Path, planned: PlannedSet) -> SetManifest | None:
    """Return the manifest of a set if the export holds it as it would be made now, else None."""
    try:
        manifest = read_manifest(root / planned.name / SET_MANIFEST, SetManifest)
    except FacesetsError:
        return None
    if manifest.inputs != planned.inputs or manifest.failed or manifest.name != planned.name:
        return None
    stem = PurePosixPath(planned.name).name
    ours = (f"{stem}_", f"{stem}.")
    if not manifest.faces or not all(bundle.startswith(ours) for bundle in manifest.bundles):
        return None
    whole = all((root / PurePosixPath(name)).is_file() for name in manifest.files)
    since = (root / planned.name / SET_MANIFEST).stat().st_mtime_ns
    untouched = whole and all(
        is_untouched(root / planned.name / name, content, since)
        for name, content in manifest.contents.items()
        if is_inside(name)
    )
    return manifest if untouched else None
