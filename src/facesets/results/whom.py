"""Whom to take out of results."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from facesets.imaging.renumbered_faces import Renumbered
from facesets.results.manifest import FaceEntry


@dataclass(frozen=True, slots=True)
class Whom:
    """Whom to take out.

    Attributes
    ----------
    is_at_place : callable
        Whether a face in a manifest lies where one of the person's does.
    changes : Renumbered
        Ids of faces that have others afterwards.
    names : set of str
        What the person was called, and folders of the person; folded.
    """

    is_at_place: Callable[[FaceEntry], bool]
    changes: Renumbered
    names: AbstractSet[str]

    @property
    def renumbered(self) -> Mapping[str, str]:
        """Ids, old to new; empty for faces that are gone."""
        return self.changes.new

    def is_theirs(self, face: FaceEntry) -> bool:
        """Whether a face in a manifest is the person's."""
        return self.is_at_place(face) or self.renumbered.get(face.face) == ""

    def among(self, faces: Iterable[FaceEntry]) -> "Whom":
        """The same, with what is not done yet where these faces are written down."""
        return replace(self, changes=self.changes.outstanding((face.face, face.box) for face in faces))
