"""The result of `cluster` on the library."""

from typing import Any

import numpy as np

from facesets.clustering.incremental import Joined
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.people.grouping.matching import Decision
from facesets.records import Int64
from facesets.result import Result
from facesets.store.postgres.people.peopled_faces import PeopledFaces


def cluster_result(**known: Any) -> Result:  # noqa: ANN401 - whatever was counted
    """The result of a run of which only so much is known."""
    nothing = Result(
        faces=0,
        kept=0,  # had a person before
        joined=0,  # joined a known person
        new_persons=0,
        new_faces=0,
        regrouped=0,  # unnamed people lost them to others or to nobody, as new faces showed
        dissolved=0,  # unnamed people who have no face left
        restored=0,  # given back to people to whom a human had given them, before a reset
        alone=0,
        people=0,
        left_out=0,  # by their quality or their time
        review=[],  # faces that resemble several people, and are left alone
        questions=0,
        step=None,
        reasons=[],  # a sentence for each choice that the method made by itself
        dry_run=False,
        stopped=False,
        seconds={},
    )
    return Result(nothing, **known)


def result_of(
    faces: PeopledFaces,
    decision: Decision,
    options: ClusterLibraryOptions,
    seconds: dict[str, float],
) -> Result:
    """What came of a decision about these faces, as it was written."""
    joined = decision.joined
    rows = np.flatnonzero(decision.freed(faces).person < 0)
    before = faces.person[rows]
    after = np.where(joined.group >= 0, joined.group + len(faces.persons), joined.person)
    was_free, moved = before < 0, (before >= 0) & (after != before)
    now = faces.person.copy()
    now[rows] = after
    review = _cases(faces, joined, rows)
    return cluster_result(
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


def _cases(faces: PeopledFaces, joined: Joined, rows: Int64) -> list[Result]:
    face_ids = faces.face_id[rows]
    cases: dict[int, list[tuple[str, float]]] = {}
    review = joined.review
    for face, person, similarity in zip(
        review.face.tolist(), review.person.tolist(), review.similarity.tolist(), strict=True
    ):
        cases.setdefault(int(face_ids[face]), []).append((str(faces.persons[person]), round(similarity, 4)))
    return [
        Result(
            face=face,
            persons=[person for person, _ in pairs],
            cosine_similarity=[similarity for _, similarity in pairs],
        )
        for face, pairs in sorted(cases.items())
    ]
