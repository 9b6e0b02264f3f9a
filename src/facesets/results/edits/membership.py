"""The people in a result folder, and the corrections that its user made by moving and deleting pictures.

A moved picture shows the person of its new folder (`is`: its face and that group belong together), and not
the person of its old one (`not`: they are separate). A deleted picture means only the second. Both hold in
folders of people and in exports.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from facesets.files import printable
from facesets.plurals import counted
from facesets.results.manifest import ClusterManifest, Correction, FaceEntry, PlacedFile, RefineManifest


@dataclass(slots=True)
class GroupMembership:
    """The faces of each person in a result folder.

    Attributes
    ----------
    groups : dict
        Faces of each folder, in order.
    single : list of FaceEntry
        Unassigned faces.
    single_folder : str
        The folder of these; empty if they have none.
    hidden : dict
        As `groups`, for hidden people.
    set_aside : list of FaceEntry
        Faces that the user removed from their person.
    files : dict
        Every photo in the folder, and what was put there.
    learned : list of str
        A sentence for each new correction, or for several of one kind.
    renamed : dict
        Old to new name of groups that were renamed since.
    deleted : list of str
        Folders that the user deleted since.
    warnings : list of str
        A sentence for each change of the user's that has no effect.
    current_paths : dict
        Current paths of photos that have moved since the result was made: old to new.
    called : dict
        Folders to rename: their names on the disk to their new names.
    marks : dict
        Group to its id, for those that have one.
    as_left : manifest, optional
        The result as the user left it, if the user changed it: a run writes it before it changes anything,
        so that a killed run loses no correction.
    """

    groups: dict[str, list[FaceEntry]]
    single: list[FaceEntry] = field(default_factory=list)
    single_folder: str = ""
    hidden: dict[str, list[FaceEntry]] = field(default_factory=dict)
    set_aside: list[FaceEntry] = field(default_factory=list)
    files: dict[str, PlacedFile] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    current_paths: dict[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    as_left: ClusterManifest | RefineManifest | None = None

    def copy(self) -> "GroupMembership":
        """Return a copy that can be changed independently."""
        return GroupMembership(**{each.name: _copied(getattr(self, each.name)) for each in fields(self)})

    def rename(self, named: Mapping[str, str], others: Mapping[str, str] | None = None) -> None:
        """Rename groups: by the user's names, and `others` by automatic ones; old to new."""
        names = {**named, **(others or {})}
        self.groups = {names.get(name, name): faces for name, faces in self.groups.items()}
        self.marks = {names.get(name, name): group for name, group in self.marks.items()}
        self.corrections = [
            replace(each, group=names.get(each.group, each.group)) if each.kind == "without" else each
            for each in self.corrections
        ]
        before = {old: named.get(new, new) for old, new in self.renamed.items()}
        is_new = named.keys() - self.renamed.values()
        self.renamed = before | {old: new for old, new in named.items() if old in is_new}
        for old, new in named.items():
            self.corrections.append(Correction("named", old, name=new))
            self.learned.append(f"{printable(old)} was renamed to {printable(new)}.")

    def names_in_use(self) -> list[str]:
        """Return every name that a group has or ever had: their numbers must not be reused."""
        return [*self.groups, *self.hidden, *(correction.group for correction in self.corrections)]

    def face_ids(self) -> set[str]:
        """Return the ids of all faces in groups or without one."""
        lists = [*self.groups.values(), *self.hidden.values(), self.single, self.set_aside]
        return {face.face for faces in lists for face in faces}

    def unwanted(self) -> set[tuple[str, str]]:
        """Return folder and path of deleted copies whose image stays in the folder."""
        return {(each.group, each.name) for each in self.corrections if each.kind == "without"}


def _copied(value: Any) -> Any:  # noqa: ANN401 - what the attributes are made of
    """Copy a value, with the lists and dicts in it."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [*value] if isinstance(value, list) else value


IS, NOT = "is", "not"


def corrections_of_face(face: str, left: Iterable[str], target: str = "") -> list[Correction]:
    """Return the corrections that a face left some groups, for another one if there is a target."""
    joined = [Correction(IS, target, face=face)] if target else []
    return [*joined, *(Correction(NOT, group, face=face) for group in left)]


def verdicts(corrections: Iterable[Correction]) -> dict[tuple[str, str], bool]:
    """Return for each group and face whether it shows that person; the last correction counts."""
    return {(each.group, each.face): each.kind == IS for each in corrections if each.kind in (IS, NOT)}


def assigned_faces(corrections: Iterable[Correction]) -> set[str]:
    """Return the ids of faces that the user assigned."""
    return {each.face for each in corrections if each.kind == IS}


def sentence(many: int, left: str, target: str = "") -> str:
    """Return a sentence on faces that left a group, for another one if there is a target."""
    went = (
        f"moved from {printable(left)} to {printable(target)}"
        if target
        else f"removed from {printable(left)}"
    )
    return f"{counted(many, 'face')} {went}."
