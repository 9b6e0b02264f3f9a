"""Corrections that a user makes by deleting crops of an export, or moving them from set to set.

A deleted crop does not show that person; a crop moved to another set shows that person instead. The export's
manifest stores both permanently, as corrections, and a set lists the faces that it may not hold as dropped by
the gate `taken_out`.

A crop is recognized by its bytes. After a move was recorded, the crop lies in the folder `_given` of its new
set, under a name that names its face: it is the set's picture of that face.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesets.files import printable, sha256_of
from facesets.results.edits.folder_contents import in_folder
from facesets.results.edits.membership import IS, NOT, corrections_of_face, sentence, verdicts
from facesets.results.edits.set_edits import EditedSets, SetManifests
from facesets.results.export_manifest import ExportedFace, ExportManifest, SetManifest
from facesets.results.gates import was_taken_out
from facesets.results.manifest import Correction
from facesets.results.ownership import ANNOUNCEMENT

GIVEN = "_given"


@dataclass(frozen=True, slots=True)
class CropCorrections:
    """The user's corrections, from earlier runs and new ones.

    Attributes
    ----------
    corrections : tuple of Correction
        `is` and `not`, oldest first; groups are sets by their current names.
    verdicts : mapping
        Set and face to whether it shows that person.
    moved : mapping
        Crops by the names that the user gave them, to the names under which they are stored.
    withdrawn : tuple of str
        Stored crops that no longer count.
    deleted : frozenset of Correction
        The new corrections that come from deleted crops.
    learned : tuple of str
        A sentence for each pair of sets between which crops were moved.
    """

    corrections: tuple[Correction, ...] = ()
    verdicts: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()
    deleted: frozenset[Correction] = frozenset()
    learned: tuple[str, ...] = ()

    def lasting(self, names: Collection[str]) -> tuple[Correction, ...]:
        """Return what a run that makes these sets stores: crops of other sets may still come back."""
        return tuple(each for each in self.corrections if each not in self.deleted or each.group in names)

    def renamed(self, out: Path, names: Mapping[str, str]) -> "CropCorrections":
        """Return the corrections after sets were renamed; crops given to the sets move along."""
        if not names:
            return self

        def current(correction: Correction) -> Correction:
            return replace(correction, group=names.get(correction.group, correction.group))

        stored = [
            path.relative_to(out).as_posix()
            for name in names
            for path in sorted((out / name / GIVEN).glob("*.png"))
        ]
        moved = {path: path for path in stored if path not in self.withdrawn} | dict(self.moved)
        return CropCorrections(
            # After an interrupted run, some have the new name already.
            tuple(dict.fromkeys(map(current, self.corrections))),
            {(names.get(group, group), face): shows for (group, face), shows in self.verdicts.items()},
            {path: in_folder(place, names) for path, place in moved.items()},
            self.withdrawn,
            frozenset(map(current, self.deleted)),
            self.learned,
        )

    def out_of(self, name: str) -> frozenset[str]:
        """Return the ids of faces that a set must not hold."""
        return frozenset(
            face for (group, face), shows in self.verdicts.items() if group == name and not shows
        )

    def given_to(self, name: str) -> frozenset[str]:
        """Return the ids of faces that were moved to a set."""
        return frozenset(face for (group, face), shows in self.verdicts.items() if group == name and shows)


def given_name(name: str, face: str) -> str:
    """Return where the crop of a face that was given to a set is stored."""
    return f"{name}/{GIVEN}/{face.replace('#', '_')}.png"


def crop_corrections(before: ExportManifest, edits: EditedSets, sets: SetManifests) -> CropCorrections:
    """Derive corrections from the crops that are missing from their sets.

    A crop also stands for the duplicates that were left out for it. Nothing new is learned from an export
    with an interrupted run. A set that lost all its crops was emptied: that is no correction.
    """
    out, renamed = sets.root, dict(edits.renamed)
    earlier = [replace(each, group=renamed.get(each.group, each.group)) for each in before.statements]
    # A set that cannot be read is made again, or left alone as it is.
    manifests = {entry.name: own for entry in edits.there if (own := sets.find(entry.name)) is not None}
    known = {
        (name, item.face.face): False
        for name, manifest in manifests.items()
        for item in manifest.dropped
        if was_taken_out(item)
    }
    known |= verdicts(earlier)
    if (out / ANNOUNCEMENT).is_file():
        return CropCorrections(tuple(earlier), known)
    lost = {
        name: [item for item in manifest.faces if not (out / name / item.file).is_file()]
        for name, manifest in manifests.items()
    }
    found = dict(_find_moved(out, manifests, lost))
    fresh: list[Correction] = []
    deleted: list[Correction] = []
    moved, moves = dict[str, str](), Counter[tuple[str, str]]()
    for name, items in lost.items():
        for item in items:
            faces = (item.face.face, *item.duplicates)
            place = found.get((name, item.file))
            if place is not None:
                target, path = place
                fresh += _moved(name, target, faces, known)
                moved[path] = given_name(target, item.face.face)
                moves[name, target] += 1
            elif len(items) < len(manifests[name].faces):
                deleted += [each for face in faces for each in corrections_of_face(face, [name])]
    fresh += deleted
    fresh = [each for each in fresh if known.get((each.group, each.face)) is not (each.kind == IS)]
    known |= verdicts(fresh)
    left = {given_name(each.group, each.face) for each in fresh if each.kind == NOT}
    return CropCorrections(
        corrections=(*earlier, *fresh),
        verdicts=known,
        moved={path: place for path, place in moved.items() if path != place},
        withdrawn=tuple(sorted(name for name in left if (out / name).is_file())),
        deleted=frozenset(deleted),
        learned=tuple(_sentence(name, target, many) for (name, target), many in moves.items()),
    )


def _find_moved(
    out: Path, manifests: Mapping[str, SetManifest], lost: Mapping[str, list[ExportedFace]]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Yield set and file of missing crops with the set where each lies now, and its name there."""
    contents = {
        (name, item.file): manifests[name].contents[item.file]
        for name, items in lost.items()
        for item in items
        if item.file in manifests[name].contents
    }
    if not contents:
        return
    sizes = {content.size for content in contents.values()}
    places: dict[str, list[tuple[str, str]]] = {}
    for name, manifest in manifests.items():
        ours = {item.file for item in manifest.faces}
        for path in sorted([*(out / name).glob("*.png"), *(out / name / GIVEN).glob("*.png")]):
            if path.name not in ours and path.is_file() and path.stat().st_size in sizes:
                places.setdefault(sha256_of(path), []).append((name, path.relative_to(out).as_posix()))
    for (name, file), content in contents.items():
        # Crops that were given to a set earlier and lie in its own folder are not moved now.
        there = [place for place in places.get(content.sha256, ()) if f"{name}/{GIVEN}/" not in place[1]]
        if there:
            places[content.sha256].remove(there[0])
            yield (name, file), there[0]


def _moved(
    name: str, target: str, faces: tuple[str, ...], known: Mapping[tuple[str, str], bool]
) -> Iterator[Correction]:
    for face in faces:
        others = {group for (group, other), shows in known.items() if other == face and shows}
        yield from corrections_of_face(face, sorted({name, *others} - {target}), target)


def _sentence(name: str, target: str, many: int) -> str:
    if name == target:
        return f"{many} renamed in {printable(name)}, still the same person."
    return sentence(many, name, target)
