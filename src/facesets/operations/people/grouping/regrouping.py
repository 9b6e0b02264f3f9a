"""`cluster` on the library by `auto`: new faces and similar ones are grouped again, by arrays."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from uuid import UUID

import numpy as np

from facesets.clustering import calibrate
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.people.incremental import FaceDecisions
from facesets.clustering.people.owners import KnownOwners
from facesets.clustering.people.regrouping import Regrouped, regroup
from facesets.clustering.poor_faces import Clarities
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.people.grouping.enforcing import constraints_of
from facesets.operations.people.grouping.matching import JoinDecision, Steps
from facesets.plurals import counted
from facesets.records import Int64
from facesets.store.postgres.people.assigned_faces import AssignedFaces
from facesets.store.postgres.people.corrections import Corrections
from facesets.work import Work

_DECIDING = ("method", "threshold", "min_size", "same_image_ok", "min_quality", "time_bucket")
"""Options that may change the decision about faces seen earlier."""


@dataclass(frozen=True, slots=True)
class FacesBefore:
    """The outcome of earlier runs for the faces.

    Attributes
    ----------
    fixed : set of UUID
        People whom a user named or corrected.
    left : int64 array of shape (m,)
        Numbers of faces that the last run left unassigned.
    options : mapping or None
        Options of the last run; None if there was none.
    """

    fixed: set[UUID]
    left: Int64
    options: Mapping[str, object] | None

    def had_same_options(self, options: ClusterLibraryOptions) -> bool:
        """Whether the last run had the same options."""
        last, now = self.options, asdict(options)
        return last is not None and all(last.get(name) == now[name] for name in _DECIDING)


def decide_again(
    faces: AssignedFaces,
    seen: FacesBefore,
    corrections: Corrections,
    options: ClusterLibraryOptions,
    work: Work,
    *,
    clarity: Clarities | None = None,
    recognizer: str | None = None,
    engine: Engine = IN_PROCESS,
) -> JoinDecision:
    """Group faces that are new, and faces similar to them; nothing if there are none.

    `clarity` is the clarity of each face; `recognizer` is the file name of the network that made the
    embeddings; `engine` compares the faces. Raises `StoppedEarly`.
    """
    seeds = _unseen(faces, seen, options)
    if not len(seeds):
        return _decision(faces, Regrouped.nothing(faces.person), {})
    work.progress.begin("Calibrating similarities")
    image = None if options.same_image_ok else faces.image
    measured = calibrate(faces.embedding, image_index=image, recognizer=recognizer)
    work.progress.end()
    fixed = np.array([person in seen.fixed for person in faces.persons], bool)
    reported = Steps(work, f"Grouping {counted(len(seeds), 'face')} and those near them")
    found = regroup(
        faces.embedding,
        KnownOwners(faces.person, fixed, image, constraints_of(corrections, faces.face_id), clarity),
        seeds,
        measured,
        min_size=options.min_size,
        min_similarity=options.threshold,
        on_progress=reported,
        engine=engine,
    )
    reported.end()
    return _decision(faces, found, {"measured_cosine_similarity": measured.link})


def _unseen(faces: AssignedFaces, seen: FacesBefore, options: ClusterLibraryOptions) -> Int64:
    """Return rows of unassigned faces, except those that the last run with these options left so."""
    free = np.flatnonzero(faces.person < 0)
    return free[~np.isin(faces.face_id[free], seen.left)] if seen.had_same_options(options) else free


def _decision(faces: AssignedFaces, found: Regrouped, used: Mapping[str, float]) -> JoinDecision:
    """Return the decision about unassigned faces and those that change their person."""
    free = np.flatnonzero((faces.person < 0) | (found.person != faces.person))
    known = len(faces.persons)
    person = found.person[free]
    review = replace(found.review, face=np.searchsorted(free, found.review.face))
    joined = FaceDecisions(
        np.where(person < known, person, -1), np.where(person >= known, person - known, -1), review
    )
    return JoinDecision(free, joined, found.reasons, used)
