"""What users say about identity by moving and deleting pictures, in folders of people and in exports alike.

A picture that was put somewhere else shows whoever is there (`is`: its face and that group belong together),
and not whom it showed before (`not`: they are kept apart). One that was deleted says only the second.
"""

from collections.abc import Iterable

from facesets.files import printable
from facesets.results.manifest import Statement

IS, NOT = "is", "not"


def said_of_face(face: str, left: Iterable[str], target: str = "") -> list[Statement]:
    """What it says that a face left some groups, for another one if there is a target."""
    joined = [Statement(IS, target, face=face)] if target else []
    return [*joined, *(Statement(NOT, group, face=face) for group in left)]


def verdicts(statements: Iterable[Statement]) -> dict[tuple[str, str], bool]:
    """Group and face to whether it shows that person; the last word counts."""
    return {(said.group, said.face): said.kind == IS for said in statements if said.kind in (IS, NOT)}


def faces_put(statements: Iterable[Statement]) -> set[str]:
    """Ids of the faces of which a user said whom they show."""
    return {said.face for said in statements if said.kind == IS}


def sentence(many: int, left: str, target: str = "") -> str:
    """Say that so many faces left a group, for another one if there is a target."""
    faces, show, do = ("1 face", "shows", "does") if many == 1 else (f"{many} faces", "show", "do")
    what = f"{show} {printable(target)}, not" if target else f"{do} not show"
    return f"{faces} {what} {printable(left)}."
