"""What `cluster` tells of the library at its end."""

from dataclasses import dataclass, field

import numpy as np

from facesets.clustering.incremental import Joined
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.people.grouping.matching import Decision
from facesets.records import Int64
from facesets.store.postgres.people.peopled_faces import PeopledFaces


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A face that is similar to several people; it is unassigned until a person decides."""

    face: int
    persons: list[str]
    cosine_similarity: list[float]


@dataclass(frozen=True, slots=True)
class ClusterLibrarySummary:
    """What `cluster` did.

    Attributes
    ----------
    faces : int
        In the library, for this model.
    kept : int
        Had a person before.
    joined : int
        Joined a known person.
    new_persons, new_faces : int
        People that are new, and their faces.
    people : int
        That the faces belong to now.
    left_out : int
        Faces without a person that the run was not about, by their quality or their time.
    restored : int
        Faces that a human had given to somebody and that had been taken away since, by a reset say.
    regrouped, dissolved : int
        Faces that unnamed people lost to others or to nobody, and unnamed people who have none left: new
        faces showed that two people were one, or one was two.
    alone : int
        Stay without a person until something new resembles them.
    review : list of ReviewCase
        Tie people together; left alone.
    questions : int
        Wait for `people review`.
    step : int or None
        The number that takes it back; None where nothing changed.
    reasons : list of str
        A sentence for each choice that the method made by itself.
    seconds : mapping of stage to seconds
    """

    faces: int = 0
    kept: int = 0
    joined: int = 0
    new_persons: int = 0
    new_faces: int = 0
    regrouped: int = 0
    dissolved: int = 0
    restored: int = 0
    alone: int = 0
    people: int = 0
    left_out: int = 0
    review: list[ReviewCase] = field(default_factory=list)
    questions: int = 0
    step: int | None = None
    reasons: list[str] = field(default_factory=list)
    dry_run: bool = False
    stopped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)


def summarised(
    faces: PeopledFaces,
    decision: Decision,
    options: ClusterLibraryOptions,
    seconds: dict[str, float],
) -> ClusterLibrarySummary:
    """What came of a decision about these faces, as it was written."""
    joined = decision.joined
    rows = np.flatnonzero(decision.freed(faces).person < 0)
    before = faces.person[rows]
    after = np.where(joined.group >= 0, joined.group + len(faces.persons), joined.person)
    was_free, moved = before < 0, (before >= 0) & (after != before)
    now = faces.person.copy()
    now[rows] = after
    review = _cases(faces, joined, rows)
    return ClusterLibrarySummary(
        faces=len(faces.face_id),
        kept=int((faces.person >= 0).sum()) - int(moved.sum()),
        joined=int((was_free & (joined.person >= 0)).sum()),
        new_persons=int(joined.group.max(initial=-1)) + 1,
        new_faces=int((joined.group >= 0).sum()),
        regrouped=int(moved.sum()),
        dissolved=len(np.setdiff1d(before[moved], now)),
        alone=int((after < 0).sum()) - len(review),
        people=len(np.unique(now[now >= 0])),
        review=review,
        reasons=list(decision.reasons),
        dry_run=options.dry_run,
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
    )


def _cases(faces: PeopledFaces, joined: Joined, rows: Int64) -> list[ReviewCase]:
    face_ids = faces.face_id[rows]
    cases: dict[int, list[tuple[str, float]]] = {}
    review = joined.review
    for face, person, similarity in zip(
        review.face.tolist(), review.person.tolist(), review.similarity.tolist(), strict=True
    ):
        cases.setdefault(int(face_ids[face]), []).append((str(faces.persons[person]), round(similarity, 4)))
    return [
        ReviewCase(face, [person for person, _ in pairs], [similarity for _, similarity in pairs])
        for face, pairs in sorted(cases.items())
    ]
