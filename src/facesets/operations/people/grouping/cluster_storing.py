"""What `cluster` decided about the library's faces, written in one transaction as one step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np

from facesets.clustering.incremental import Joined
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.people.corrections.results import kept_step
from facesets.operations.people.grouping.clusters import plan_of_groups, store_plan
from facesets.operations.people.grouping.hierarchy import Placed, keep
from facesets.operations.people.grouping.library_faces import LoadedFaces
from facesets.operations.people.grouping.matching import Decision
from facesets.operations.people.grouping.obeying import obey
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people import peopled_faces as people
from facesets.store.postgres.people.statements import load_statements
from facesets.store.postgres.people.steps import making_step
from facesets.store.postgres.people.unassigned import note_unassigned


@dataclass(frozen=True, slots=True)
class Writing:
    """Who writes, for which run, and what new people and clusters are called by."""

    by: str
    run_id: int
    new_id: Callable[[], UUID]


@dataclass(frozen=True, slots=True)
class Stored:
    """A decision as it was written, and the step that takes it back; None where nothing changed."""

    joined: Joined
    step: int | None


def store_decision(
    connection: Connection,
    loaded: LoadedFaces,
    decision: Decision,
    placed: Placed | None,
    options: ClusterLibraryOptions,
    writing: Writing,
) -> Stored:
    """Write a decision.

    What humans said and whom they named or merged while it was made is obeyed too.
    """
    faces = loaded.faces
    freed = decision.freed(faces)
    known = replace(freed, persons=people.merged_into(connection, faces.persons))
    obeyed = obey(known, decision.joined, load_statements(connection))
    joined = obeyed.joined
    rows = np.flatnonzero(freed.person < 0)
    before = faces.person[rows]
    after = np.where(joined.group >= 0, joined.group + len(faces.persons), joined.person)
    fixed = people.fixed_persons(connection)
    vouched = np.array([*(person in fixed for person in faces.persons), False])[before]
    changed = (before != after) & ~vouched
    new = [writing.new_id() for _ in range(int(joined.group.max(initial=-1)) + 1)]
    left = [faces.persons[person] for person in np.unique(before[changed & (before >= 0)])]
    with making_step(connection, "cluster", writing.by, "cluster", run_id=writing.run_id) as step:
        people.create_persons(connection, new)
        said_so = obeyed.constrained
        for how, some in (("auto", changed & ~said_so), ("constrained", changed & said_so)):
            ids = faces.face_id[rows[some]]
            people.assign(step, ids, before[some], after[some], [*known.persons, *new], how)
        people.drop_empty_persons(connection, [*new, *left])
        if placed is None:
            leaving = (before >= 0) & (after < 0)
            plan = plan_of_groups(freed, loaded.clusters, joined, writing.new_id, leaving)
        else:
            plan = keep(step, loaded.model_id, faces, placed, loaded.hierarchy, options, writing.run_id)
        store_plan(step, loaded.model_id, plan)
    note_unassigned(connection, faces.detector_id, faces.face_id)
    return Stored(joined, kept_step(connection, step))
