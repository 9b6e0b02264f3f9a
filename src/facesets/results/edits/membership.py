"""Who is who in a result folder, and what its user said about it by moving and deleting pictures.

A picture that was put somewhere else shows whoever is there (`is`: its face and that group belong together),
and not whom it showed before (`not`: they are kept apart). One that was deleted says only the second: in
folders of people and in exports alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from facesets.files import printable
from facesets.plurals import counted
from facesets.results.manifest import ClusterManifest, Correction, FaceEntry, PlacedFile, RefineManifest


@dataclass(slots=True)
class GroupMembership:
    """Who is who in a result folder.

    Attributes
    ----------
    groups : dict
        Faces of each folder, in order.
    single : list of FaceEntry
        Faces that are alone.
    single_folder : str
        Where those lie; empty where they lie nowhere.
    hidden : dict
        As `groups`, of people who are not wanted.
    set_aside : list of FaceEntry
        Faces that are unassigned by the user's will.
    files : dict
        Every photo in the folder, and what was put there.
    learned : list of str
        A sentence for each new statement, or for several alike.
    renamed : dict
        Old to new name of groups that were renamed since.
    deleted : list of str
        Folders that the user deleted since.
    warnings : list of str
        A sentence for each thing that the user did and that says nothing.
    today : dict
        Where photos lie that the result was made from at other paths.
    called : dict
        Folders as they are called on the disk, to what they are to be called.
    marks : dict
        Group to its id, for those that have one.
    as_left : manifest, optional
        The result as the user left it, where that is news: a run writes it down before it changes anything,
        so that nothing is forgotten if it is killed.
    """

    groups: dict[str, list[FaceEntry]]
    single: list[FaceEntry] = field(default_factory=list)
    single_folder: str = ""
    hidden: dict[str, list[FaceEntry]] = field(default_factory=dict)
    set_aside: list[FaceEntry] = field(default_factory=list)
    files: dict[str, PlacedFile] = field(default_factory=dict)
    statements: list[Correction] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    today: dict[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    as_left: ClusterManifest | RefineManifest | None = None

    def copy(self) -> "GroupMembership":
        """The same, to be changed without changing this one."""
        return GroupMembership(**{each.name: _anew(getattr(self, each.name)) for each in fields(self)})

    def rename(self, named: Mapping[str, str], others: Mapping[str, str] | None = None) -> None:
        """Rename groups: by the user's names, and `others` by automatic ones; old to new."""
        names = {**named, **(others or {})}
        self.groups = {names.get(name, name): faces for name, faces in self.groups.items()}
        self.marks = {names.get(name, name): group for name, group in self.marks.items()}
        self.statements = [
            replace(said, group=names.get(said.group, said.group)) if said.kind == "without" else said
            for said in self.statements
        ]
        before = {old: named.get(new, new) for old, new in self.renamed.items()}
        is_new = named.keys() - self.renamed.values()
        self.renamed = before | {old: new for old, new in named.items() if old in is_new}
        for old, new in named.items():
            self.statements.append(Correction("named", old, name=new))
            self.learned.append(f"{printable(old)} was renamed to {printable(new)}.")

    def names_in_use(self) -> list[str]:
        """Every name that a group has or ever had, for numbers that must not come back."""
        return [*self.groups, *self.hidden, *(statement.group for statement in self.statements)]

    def face_ids(self) -> set[str]:
        """Every face that is accounted for."""
        lists = [*self.groups.values(), *self.hidden.values(), self.single, self.set_aside]
        return {face.face for faces in lists for face in faces}

    def unwanted(self) -> set[tuple[str, str]]:
        """Folder and path of copies that the user deleted though the image stays in the folder."""
        return {(said.group, said.name) for said in self.statements if said.kind == "without"}


def _anew(value: Any) -> Any:  # noqa: ANN401 - what the attributes are made of
    """A copy as far down as there are lists and dicts."""
    if isinstance(value, dict):
        return {key: _anew(each) for key, each in value.items()}
    return [*value] if isinstance(value, list) else value


IS, NOT = "is", "not"


def corrections_of_face(face: str, left: Iterable[str], target: str = "") -> list[Correction]:
    """Return the statements that a face left some groups, for another one if there is a target."""
    joined = [Correction(IS, target, face=face)] if target else []
    return [*joined, *(Correction(NOT, group, face=face) for group in left)]


def verdicts(statements: Iterable[Correction]) -> dict[tuple[str, str], bool]:
    """Return for each group and face whether it shows that person; the last statement counts."""
    return {(said.group, said.face): said.kind == IS for said in statements if said.kind in (IS, NOT)}


def faces_put(statements: Iterable[Correction]) -> set[str]:
    """Return the ids of faces that the user assigned."""
    return {said.face for said in statements if said.kind == IS}


def sentence(many: int, left: str, target: str = "") -> str:
    """Return a sentence on faces that left a group, for another one if there is a target."""
    went = (
        f"moved from {printable(left)} to {printable(target)}"
        if target
        else f"removed from {printable(left)}"
    )
    return f"{counted(many, 'face')} {went}."
