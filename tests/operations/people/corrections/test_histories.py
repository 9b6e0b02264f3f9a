"""Random histories of a library: what humans said holds throughout, and every step is taken back exactly."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from tests.fixtures.library_people import add_like, add_person, cluster, rows
from tests.fixtures.soak import soaking

from facesets.errors import WrongUsage
from facesets.operations.options.grouping import Method
from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions, DualOptions, SplitOptions
from facesets.operations.options.upkeep import MaintainOptions, Task
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.assigning.prototypes import prototypes
from facesets.operations.people.carrying.export_people import export_people
from facesets.operations.people.carrying.import_people import import_people
from facesets.operations.people.carrying.people_file import read_people
from facesets.operations.people.corrections import (
    cluster_corrections,
    correcting,
    giving,
    history,
    naming,
)
from facesets.operations.people.corrections.giving import Picked
from facesets.operations.people.corrections.splitting import apply_split
from facesets.operations.people.corrections.who import find_cluster
from facesets.operations.people.grouping.dual import cluster_dual
from facesets.operations.people.review.answering import answer
from facesets.operations.people.review.questions import next_questions, refresh_questions
from facesets.operations.people.upkeep.tasks import maintain
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "anna@home"
NAMES = ("Anna", "Ben", "Cleo", "Dora", "Emil", "Fay")
DEEDS = soaking(200, else_=80)
TASKS: tuple[Task, ...] = ("associate", "associate", "merge-similar", "must-links", "unassigned", "empty")

State = dict[str, list[dict[str, Any]]]

STATE = {
    "face_detections": "SELECT id AS face, person_id, assigned_by, assigned_at, cluster FROM face_detections",
    "persons": "SELECT * FROM persons",
    "person_names": "SELECT * FROM person_names",
    "clusters": "SELECT * FROM clusters",
    "said_people": "SELECT * FROM said_people",
    "said_faces": "SELECT face_id AS face, * FROM said_faces",
    "said_of_faces": "SELECT face_a AS face, face_b AS other, * FROM said_of_faces",
    "said_of_people": "SELECT * FROM said_of_people",
    "said_exemplars": "SELECT face_id AS face, * FROM said_exemplars",
    # An answer that was taken back is none.
    "answers about faces": """SELECT c.face_id AS face, c.person_id, c.status FROM face_candidates c
        JOIN steps s ON s.id = c.answered_in WHERE NOT s.undone""",
    "answers about people": """SELECT c.kind, c.person_id, c.other_id, c.cluster_id, c.status
        FROM person_candidates c JOIN steps s ON s.id = c.answered_in WHERE NOT s.undone""",
}

BROKEN = """
    SELECT 'is not', s.face_id::text, s.person_id::text FROM said_faces s
        JOIN face_detections f ON f.id = s.face_id AND f.person_id = s.person_id WHERE NOT s.is_person
    UNION ALL SELECT 'is', s.face_id::text, s.person_id::text FROM said_faces s
        JOIN face_detections f ON f.id = s.face_id AND f.person_id IS DISTINCT FROM s.person_id
        WHERE s.is_person
    UNION ALL SELECT 'pair', s.face_a::text, s.face_b::text FROM said_of_faces s
        JOIN face_detections a ON a.id = s.face_a JOIN face_detections b ON b.id = s.face_b
        WHERE s.same <> (a.person_id = b.person_id)
    UNION ALL SELECT 'two', a.id::text, b.id::text FROM said_of_people s
        JOIN persons a ON a.id = s.person_a JOIN persons b ON b.id = s.person_b
        WHERE coalesce(a.merged_into_id, a.id) = coalesce(b.merged_into_id, b.id)
    UNION ALL SELECT 'merged', f.id::text, p.id::text FROM face_detections f
        JOIN persons p ON p.id = f.person_id WHERE p.status = 'merged'"""
"""Statements that do not hold, and faces of somebody who was merged."""

VOUCHED = """SELECT f.id, f.person_id FROM face_detections f
    WHERE EXISTS (SELECT FROM person_names n WHERE n.person_id = f.person_id)
        OR EXISTS (SELECT FROM said_people s WHERE s.person_id = f.person_id)"""
"""Faces of those whom a human named or spoke of: no run takes them."""

PROTOTYPES = """SELECT person_id, kind, face_id, embedding::real[] FROM person_prototypes
    ORDER BY person_id, kind, face_id, taken_from"""


def state(database: Database) -> State:
    """Everything that says who is who, and what was answered."""
    return {
        name: [
            row
            for (row,) in rows(database, f"SELECT to_jsonb(t) FROM ({query}) t ORDER BY to_jsonb(t)::text")
        ]
        for name, query in STATE.items()
    }


def about(found: State, faces: set[int]) -> State:
    """Of a state what is about these faces, or about no face."""
    return {
        name: [row for row in table if all(row[end] in faces for end in ("face", "other") if end in row)]
        for name, table in found.items()
    }


def faces_of(found: State) -> set[int]:
    return {row["face"] for row in found["face_detections"]}


def fresh_prototypes(database: Database) -> list[tuple[Any, ...]]:
    """Everybody's prototypes, made again where that is needed."""
    prototypes(database)
    return rows(database, PROTOTYPES)


def alike(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    """Whether prototypes are the same, but for the order in which vectors were added up."""
    if [row[:3] for row in one] != [row[:3] for row in other]:
        return False
    return np.allclose([row[3] for row in one], [row[3] for row in other], atol=1e-6)


class Story:
    """A random history of a library; each deed remembers the state before it and the steps that it made."""

    def __init__(self, library: Library, seed: int, folder: Path) -> None:
        self.library = library
        self.database = library.database
        self.random = random.Random(seed)
        self.file = folder / "people.json"
        self.before: list[tuple[str, list[int], State, list[tuple[Any, ...]] | None]] = []
        self.added = 0

    def one_of(self, query: str) -> Any:
        """Something that a query finds, at random; what nobody is called where it finds nothing."""
        found = rows(self.database, query)
        return self.random.choice(found)[0] if found else "nothing"

    def anybody(self) -> str:
        return str(self.one_of("SELECT id FROM persons ORDER BY id"))

    def any_face(self) -> int:
        return int(self.one_of("SELECT id FROM face_detections ORDER BY id"))

    def any_cluster(self) -> str:
        return str(
            self.one_of(
                """SELECT DISTINCT cluster FROM face_detections WHERE cluster IS NOT NULL
                    AND person_id IS NULL ORDER BY cluster"""
            )
        )

    def any_step(self) -> int:
        """One of the latest steps that stand."""
        return int(
            self.one_of(
                """SELECT id FROM steps WHERE NOT undone AND kind NOT IN ('undo', 'redo')
                    ORDER BY id DESC LIMIT 15"""
            )
        )

    def name(self) -> None:
        into = self.random.choice([True, False])
        who = self.random.choice([self.anybody(), self.anybody(), self.any_cluster()])
        naming.name(self.database, who, self.random.choice(NAMES), into=into, face=False, by=BY)

    def name_face(self) -> None:
        face, name = str(self.any_face()), self.random.choice(NAMES)
        naming.name(self.database, face, name, into=True, face=True, by=BY)

    def rename(self) -> None:
        naming.rename(self.database, self.anybody(), self.random.choice(NAMES), by=BY)

    def hide(self) -> None:
        naming.set_hidden(self.database, self.anybody(), hidden=self.random.choice([True, False]), by=BY)

    def merge(self) -> None:
        drop, who = self.random.choice([True, False]), self.random.choice([self.anybody, self.any_cluster])()
        cluster_corrections.merge(self.database, [who], self.anybody(), drop_names=drop, by=BY)

    def move(self) -> None:
        to = self.random.choice(["new", "nobody", self.anybody()])
        correcting.move(self.database, [self.any_face(), self.any_face()], to, by=BY)

    def same(self) -> None:
        correcting.same(self.database, str(self.any_face()), str(self.any_face()), faces=True, by=BY)

    def same_people(self) -> None:
        correcting.same(self.database, self.anybody(), self.anybody(), faces=False, by=BY)

    def different(self) -> None:
        correcting.different(self.database, str(self.any_face()), str(self.any_face()), faces=True, by=BY)

    def different_people(self) -> None:
        who = self.random.choice([self.anybody, self.any_cluster])()
        cluster_corrections.different(self.database, who, self.anybody(), faces=False, by=BY)

    def split(self) -> None:
        who = self.random.choice([self.anybody, self.any_cluster])()
        apply_split(self.database, who, SplitOptions(parts=2, min_size=1), by=BY)

    def picked(self) -> Picked:
        """Some faces as they are picked on a page: somebody's, unassigned, or of several."""
        whose = self.random.choice(["person_id IS NOT NULL", "TRUE"])
        face = int(self.one_of(f"SELECT id FROM face_detections WHERE {whose} ORDER BY id"))
        if self.random.random() < 0.2:
            return Picked([face, self.any_face()], anybody=True)
        [(person,)] = rows(self.database, f"SELECT person_id FROM face_detections WHERE id = {face}")
        same = f"person_id IS NOT DISTINCT FROM (SELECT person_id FROM face_detections WHERE id = {face})"
        other = int(self.one_of(f"SELECT id FROM face_detections WHERE {same} ORDER BY id"))
        return Picked([face, other], person)

    def any_group(self) -> str:
        """A group as a page of groups without a name shows it."""
        return self.random.choice([self.any_cluster(), f"person_{self.anybody()}"])

    def give(self) -> None:
        giving.give_to(self.database, self.picked(), UUID(self.anybody()), by=BY)

    def give_to_name(self) -> None:
        name, into = self.random.choice(NAMES), self.random.choice([True, False])
        giving.give_to_name(self.database, self.picked(), name, into=into, by=BY)

    def split_off(self) -> None:
        giving.split_off(self.database, self.picked(), by=BY)

    def take_away(self) -> None:
        giving.take_away(self.database, self.picked(), by=BY)

    def best(self) -> None:
        picked = self.picked()
        if picked.owner is not None:
            giving.choose_best(self.database, picked.faces[0], picked.owner, by=BY)

    def label(self) -> None:
        into = self.random.choice([True, False])
        cluster_corrections.label_cluster(
            self.database, self.any_group(), self.random.choice(NAMES), into=into, by=BY
        )

    def hide_group(self) -> None:
        cluster_corrections.hide_cluster(self.database, self.any_group(), by=BY)

    def split_group(self) -> None:
        options = SplitOptions(min_size=self.random.choice([1, 3]))
        split = apply_split(self.database, self.any_group(), options, by=BY, finder=find_cluster)
        cluster_corrections.clusters_of_parts(self.database, split)

    def pin(self) -> None:
        prototypes(self.database, pin=[self.any_face()], by=BY)

    def drop(self) -> None:
        prototypes(self.database, drop=[self.any_face()], by=BY)

    def review(self) -> None:
        refresh_questions(self.library)
        for question in self.random.sample(found := next_questions(self.database, 50), min(3, len(found))):
            if question.kind == "name":
                verdict, name = self.random.choice([("name", self.random.choice(NAMES)), ("hide", "")])
                answer(self.database, question.id, verdict, by=BY, name=name, into=True)  # type: ignore[arg-type]
                continue
            but = [item.number for item in question.items if self.random.random() < 0.3]
            yes = self.random.choice([True, False])
            answer(self.database, question.id, "yes" if yes else "no", by=BY, but=but)

    def carry(self) -> None:
        if self.file.exists():
            import_people(self.database, read_people(self.file), self.file.name, by=BY)
        if self.random.random() < 0.5:
            export_people(self.database, self.file)

    def again(self) -> None:
        """Any step taken back, if that is possible, and done again is as if nothing had been."""
        now = state(self.database)
        history.undo(self.database, self.any_step(), by=BY)
        assert rows(self.database, BROKEN) == []
        history.redo(self.database, by=BY)
        assert state(self.database) == now

    def group(self) -> None:
        method = self.random.choice(["auto", "auto", "components", "hdbscan", "agglomerative"])
        options = {"full": self.random.choice([True, False])} if method == "hdbscan" else {}
        cluster(self.library, method=method, min_size=self.random.choice([1, 2]), **options)

    def dual(self) -> None:
        methods: tuple[Method, ...] = ("hdbscan", "components", "agglomerative")
        method = self.random.choice(methods)
        most = self.random.choice([None, 2, 4])
        chosen = DualOptions(dual=True, unknown_method=method, unknown_min_size=2, dual_max_faces=most)
        cluster_dual(self.library, ClusterLibraryOptions(), chosen, work=Work(by=BY))

    def assign(self) -> None:
        assign(self.library, AssignOptions(), work=Work(by=BY))

    def upkeep(self) -> None:
        options = MaintainOptions(older_than=0)
        task = self.random.choice(TASKS)
        maintain(self.library, [task], options, work=Work(by=BY))

    def index(self) -> None:
        self.added += 1
        if self.random.random() < 0.3:
            add_like(self.library, f"{self.added}", self.random.choice(["anna", "ben"]), 0.6, 2)
        else:
            name = self.random.choice(["anna", "ben", "gil", f"stray{self.added}"])
            add_person(self.library, name, 2, seed=self.added)

    def delete(self) -> None:
        rows(
            self.database,
            f"""DELETE FROM images WHERE id =
                (SELECT image_id FROM face_detections WHERE id = {self.any_face()}) RETURNING 1""",
        )

    def latest(self) -> int:
        return max((step.id for step in history.log(self.database, limit=1)), default=0)

    def step(self) -> None:
        """One thing that somebody, or a run, does; what is refused is no step."""
        runs = [self.group, self.group, self.dual, self.assign, self.upkeep, self.upkeep]
        people = [self.name, self.name, self.name_face, self.rename, self.hide, self.merge, self.move]
        people += [self.same, self.same_people, self.different, self.different_people, self.split]
        people += [self.give, self.give_to_name, self.split_off, self.take_away, self.best]
        people += [self.label, self.hide_group, self.split_group]
        people += [self.pin, self.drop, self.review, self.review, self.carry, self.again, self.again]
        deed: Callable[[], None] = self.random.choice([*runs, *people, self.index, self.index, self.delete])
        last, now = self.latest(), state(self.database)
        kept = fresh_prototypes(self.database) if self.random.random() < 0.1 else None
        vouched = dict(rows(self.database, VOUCHED))
        try:
            deed()
        except WrongUsage:
            # Of several answers some may have been kept.
            assert deed == self.review or state(self.database) == now
        if deed in runs:
            after = dict(rows(self.database, "SELECT id, person_id FROM face_detections"))
            assert {face: after[face] for face in vouched} == vouched, deed.__name__
        assert rows(self.database, BROKEN) == [], deed.__name__
        steps = [step.id for step in history.log(self.database, limit=30) if step.id > last]
        standing = [
            step.id for step in history.log(self.database, limit=30) if step.id > last and not step.undoes
        ]
        if steps and standing:
            self.before.append((deed.__name__, standing, now, kept))

    def take_back(self) -> None:
        """Take every step back, and find what was there before it."""
        for deed, steps, recorded, kept in reversed(self.before):
            for number in steps:
                assert history.undo(self.database, by=BY).id == number, deed
            found = state(self.database)
            there, then = faces_of(found), faces_of(recorded)
            assert about(found, then) == about(recorded, there), deed
            if kept is not None and then <= there:
                assert alike(fresh_prototypes(self.database), kept), deed


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("seed", soaking(range(20), else_=range(2)))
def test_what_humans_said_holds_and_every_step_is_taken_back_exactly(
    database: Database, tmp_path: Path, seed: int
) -> None:
    library = Library(database)
    for name, images in (("anna", 6), ("ben", 4), ("cleo", 3)):
        add_person(library, name, images)
    cluster(library)
    story = Story(library, seed, tmp_path)
    for _ in range(DEEDS):
        story.step()
    assert len(story.before) > DEEDS // 4
    story.take_back()
