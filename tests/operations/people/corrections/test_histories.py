"""Random histories of a library: corrections hold throughout, and every step is undone exactly."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from tests.fixtures.corrections import BY, by_sql
from tests.fixtures.library_people import add_like, add_person, cluster, rows
from tests.fixtures.soak import soaking

from facesets.errors import WrongUsage
from facesets.operations.options.grouping import Method
from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions, DualOptions, SplitOptions
from facesets.operations.options.upkeep import MaintainOptions, Task
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.assigning.prototypes import prototypes
from facesets.operations.people.corrections import (
    cluster_corrections,
    correcting,
    history,
    moving,
    naming,
)
from facesets.operations.people.corrections.lookup import find_cluster
from facesets.operations.people.corrections.moving import Picked
from facesets.operations.people.corrections.splitting import apply_split
from facesets.operations.people.exchange.export_people import export_people
from facesets.operations.people.exchange.import_people import import_people
from facesets.operations.people.exchange.people_file import read_people
from facesets.operations.people.grouping.dual import cluster_dual
from facesets.operations.people.review.answering import answer
from facesets.operations.people.review.questions import next_questions, refresh_questions
from facesets.operations.people.upkeep.tasks import maintain
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

NAMES = ("Anna", "Ben", "Cleo", "Dora", "Emil", "Fay")
DEEDS = soaking(200, else_=80)
TASKS: tuple[Task, ...] = ("associate", "associate", "merge-similar", "must-links", "unassigned", "empty")

State = dict[str, list[dict[str, Any]]]
Deed = Callable[[], object]

STATE = {
    "face_detections": "SELECT id AS face, person_id, assigned_by, assigned_at, cluster FROM face_detections",
    "persons": "SELECT * FROM persons",
    "person_names": "SELECT * FROM person_names",
    "clusters": "SELECT * FROM clusters",
    "person_corrections": "SELECT * FROM person_corrections",
    "face_corrections": "SELECT face_id AS face, * FROM face_corrections",
    "face_pair_corrections": "SELECT face_a AS face, face_b AS other, * FROM face_pair_corrections",
    "person_pair_corrections": "SELECT * FROM person_pair_corrections",
    "prototype_corrections": "SELECT face_id AS face, * FROM prototype_corrections",
    # An answer that was taken back is none.
    "answers about faces": """SELECT c.face_id AS face, c.person_id, c.status FROM face_candidates c
        JOIN steps s ON s.id = c.answered_in WHERE NOT s.undone""",
    "answers about people": """SELECT c.kind, c.person_id, c.other_id, c.cluster_id, c.status
        FROM person_candidates c JOIN steps s ON s.id = c.answered_in WHERE NOT s.undone""",
}

BROKEN = """
    SELECT 'is not', s.face_id::text, s.person_id::text FROM face_corrections s
        JOIN face_detections f ON f.id = s.face_id AND f.person_id = s.person_id WHERE NOT s.is_person
    UNION ALL SELECT 'is', s.face_id::text, s.person_id::text FROM face_corrections s
        JOIN face_detections f ON f.id = s.face_id AND f.person_id IS DISTINCT FROM s.person_id
        WHERE s.is_person
    UNION ALL SELECT 'pair', s.face_a::text, s.face_b::text FROM face_pair_corrections s
        JOIN face_detections a ON a.id = s.face_a JOIN face_detections b ON b.id = s.face_b
        WHERE s.same <> (a.person_id = b.person_id)
    UNION ALL SELECT 'two', a.id::text, b.id::text FROM person_pair_corrections s
        JOIN persons a ON a.id = s.person_a JOIN persons b ON b.id = s.person_b
        WHERE coalesce(a.merged_into_id, a.id) = coalesce(b.merged_into_id, b.id)
    UNION ALL SELECT 'merged', f.id::text, p.id::text FROM face_detections f
        JOIN persons p ON p.id = f.person_id WHERE p.status = 'merged'"""
"""Corrections that do not hold, and faces of merged people."""

VOUCHED = """SELECT f.id, f.person_id FROM face_detections f
    WHERE EXISTS (SELECT FROM person_names n WHERE n.person_id = f.person_id)
        OR EXISTS (SELECT FROM person_corrections s WHERE s.person_id = f.person_id)"""
"""Faces of people whom a user named or corrected: no run takes them."""

PROTOTYPES = """SELECT person_id, kind, face_id, embedding::real[] FROM person_prototypes
    ORDER BY person_id, kind, face_id, taken_from"""


def state(database: Database) -> State:
    """Return all assignments, corrections and answers."""
    return {
        name: [
            row
            for (row,) in rows(database, f"SELECT to_jsonb(t) FROM ({query}) t ORDER BY to_jsonb(t)::text")
        ]
        for name, query in STATE.items()
    }


def about(found: State, faces: set[int]) -> State:
    """Return the part of a state about these faces, or about no face."""
    return {
        name: [row for row in table if all(row[end] in faces for end in ("face", "other") if end in row)]
        for name, table in found.items()
    }


def faces_of(found: State) -> set[int]:
    return {row["face"] for row in found["face_detections"]}


def fresh_prototypes(database: Database) -> list[tuple[Any, ...]]:
    """Return the prototypes of all people, after remaking stale ones."""
    prototypes(database)
    return rows(database, PROTOTYPES)


def similar(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> bool:
    """Whether prototypes are the same, apart from the order in which vectors were added up."""
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
        """Return a random result of a query; an unknown name if it finds nothing."""
        found = rows(self.database, query)
        return self.random.choice(found)[0] if found else "nothing"

    def is_so(self) -> bool:
        return self.random.choice([True, False])

    def a_name(self) -> str:
        return self.random.choice(NAMES)

    def anybody(self) -> str:
        return str(self.one_of("SELECT id FROM persons ORDER BY id"))

    def any_face(self) -> int:
        return int(self.one_of("SELECT id FROM face_detections ORDER BY id"))

    def two_faces(self) -> tuple[str, str]:
        return str(self.any_face()), str(self.any_face())

    def any_cluster(self) -> str:
        return str(
            self.one_of(
                """SELECT DISTINCT cluster FROM face_detections WHERE cluster IS NOT NULL
                    AND person_id IS NULL ORDER BY cluster"""
            )
        )

    def any_group(self) -> str:
        """A group as a page of groups without a name shows it."""
        return self.random.choice([self.any_cluster(), f"person_{self.anybody()}"])

    def who(self) -> str:
        return self.random.choice([self.anybody, self.any_cluster])()

    def any_step(self) -> int:
        """One of the latest steps that stand."""
        return int(
            self.one_of(
                """SELECT id FROM steps WHERE NOT undone AND kind NOT IN ('undo', 'redo')
                    ORDER BY id DESC LIMIT 15"""
            )
        )

    def picked(self) -> Picked:
        """Select faces as on a page: of one person, unassigned, or of several."""
        people_of = self.random.choice(["person_id IS NOT NULL", "TRUE"])
        face = int(self.one_of(f"SELECT id FROM face_detections WHERE {people_of} ORDER BY id"))
        if self.random.random() < 0.2:
            return Picked([face, self.any_face()], any_owner=True)
        [(person,)] = rows(self.database, f"SELECT person_id FROM face_detections WHERE id = {face}")
        same = f"person_id IS NOT DISTINCT FROM (SELECT person_id FROM face_detections WHERE id = {face})"
        other = int(self.one_of(f"SELECT id FROM face_detections WHERE {same} ORDER BY id"))
        return Picked([face, other], person)

    def of_humans(self) -> dict[str, Deed]:
        """Make a correction, each by one command or page."""
        of, groups, faces = self.database, cluster_corrections, self.two_faces
        return {
            "name": lambda: naming.name(of, self.who(), self.a_name(), into=self.is_so(), face=False, by=BY),
            "name a face": lambda: naming.name(of, faces()[0], self.a_name(), into=True, face=True, by=BY),
            "rename": lambda: naming.rename(of, self.anybody(), self.a_name(), by=BY),
            "hide": lambda: naming.set_hidden(of, self.anybody(), hidden=self.is_so(), by=BY),
            "merge": lambda: groups.merge(of, [self.who()], self.anybody(), drop_names=self.is_so(), by=BY),
            "move": lambda: correcting.move(
                of,
                [self.any_face(), self.any_face()],
                self.random.choice(["new", "nobody", self.anybody()]),
                by=BY,
            ),
            "same": lambda: correcting.same(of, *faces(), faces=True, by=BY),
            "same people": lambda: correcting.same(of, self.anybody(), self.anybody(), faces=False, by=BY),
            "different": lambda: correcting.different(of, *faces(), faces=True, by=BY),
            "apart": lambda: groups.different(of, self.who(), self.anybody(), faces=False, by=BY),
            "split": lambda: apply_split(of, self.who(), SplitOptions(parts=2, min_size=1), by=BY),
            "give": lambda: moving.give_to(of, self.picked(), UUID(self.anybody()), by=BY),
            "give to a name": lambda: moving.give_to_name(
                of, self.picked(), self.a_name(), into=self.is_so(), by=BY
            ),
            "split off": lambda: moving.split_off(of, self.picked(), by=BY),
            "take away": lambda: moving.take_away(of, self.picked(), by=BY),
            "best": self.best,
            "label": lambda: groups.label_cluster(
                of, self.any_group(), self.a_name(), into=self.is_so(), by=BY
            ),
            "hide a group": lambda: groups.hide_cluster(of, self.any_group(), by=BY),
            "split a group": self.split_group,
            "pin": lambda: prototypes(of, pin=[self.any_face()], by=BY),
            "drop": lambda: prototypes(of, drop=[self.any_face()], by=BY),
            "review": self.review,
            "carry": self.carry,
            "again": self.again,
        }

    def of_runs(self) -> dict[str, Deed]:
        """Make a change of a run, which takes no corrected person."""
        return {
            "group": self.group,
            "dual": self.dual,
            "assign": lambda: assign(self.library, AssignOptions(), work=Work(by=BY)),
            "upkeep": lambda: maintain(
                self.library,
                [self.random.choice(TASKS)],
                MaintainOptions(older_than=0),
                work=Work(by=BY),
            ),
        }

    def best(self) -> None:
        picked = self.picked()
        if picked.owner is not None:
            moving.choose_best(self.database, picked.faces[0], picked.owner, by=BY)

    def split_group(self) -> None:
        options = SplitOptions(min_size=self.random.choice([1, 3]))
        split = apply_split(self.database, self.any_group(), options, by=BY, finder=find_cluster)
        cluster_corrections.clusters_of_parts(self.database, split)

    def review(self) -> None:
        refresh_questions(self.library)
        for question in self.random.sample(found := next_questions(self.database, 50), min(3, len(found))):
            if question.kind == "name":
                verdict, name = self.random.choice([("name", self.a_name()), ("hide", "")])
                answer(self.database, question.id, verdict, by=BY, name=name, into=True)  # type: ignore[arg-type]
                continue
            but = [item.number for item in question.items if self.random.random() < 0.3]
            answer(self.database, question.id, "yes" if self.is_so() else "no", by=BY, but=but)

    def carry(self) -> None:
        if self.file.exists():
            import_people(self.database, read_people(self.file), self.file.name, by=BY)
        if self.is_so():
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
        options = {"full": self.is_so()} if method == "hdbscan" else {}
        cluster(self.library, method=method, min_size=self.random.choice([1, 2]), **options)

    def dual(self) -> None:
        methods: tuple[Method, ...] = ("hdbscan", "components", "agglomerative")
        method = self.random.choice(methods)
        most = self.random.choice([None, 2, 4])
        chosen = DualOptions(dual=True, unknown_method=method, unknown_min_size=2, dual_max_faces=most)
        cluster_dual(self.library, ClusterLibraryOptions(), chosen, work=Work(by=BY))

    def index(self) -> None:
        self.added += 1
        if self.random.random() < 0.3:
            add_like(self.library, f"{self.added}", self.random.choice(["anna", "ben"]), 0.6, 2)
        else:
            name = self.random.choice(["anna", "ben", "gil", f"stray{self.added}"])
            add_person(self.library, name, 2, seed=self.added)

    def delete(self) -> None:
        face = self.any_face()
        by_sql(
            self.library,
            f"DELETE FROM images WHERE id = (SELECT image_id FROM face_detections WHERE id = {face})",
        )

    def latest(self) -> int:
        return max((step.id for step in history.log(self.database, limit=1)), default=0)

    def step(self) -> None:
        """Make one change by a user or a run; a refused one is no step."""
        runs, people = self.of_runs(), self.of_humans()
        photos: dict[str, Deed] = {"index": self.index, "delete": self.delete}
        often = ("group", "upkeep", "name", "review", "again", "index")
        name = self.random.choice([*runs, *people, *photos, *often])
        last, now = self.latest(), state(self.database)
        stored = fresh_prototypes(self.database) if self.random.random() < 0.1 else None
        vouched = dict(rows(self.database, VOUCHED))
        try:
            (runs | people | photos)[name]()
        except WrongUsage:
            # Some of several answers may have been stored.
            assert name == "review" or state(self.database) == now
        if name in runs:
            after = dict(rows(self.database, "SELECT id, person_id FROM face_detections"))
            assert {face: after[face] for face in vouched} == vouched, name
        assert rows(self.database, BROKEN) == [], name
        steps = [step for step in history.log(self.database, limit=30) if step.id > last]
        if in_effect := [step.id for step in steps if not step.undoes]:
            self.before.append((name, in_effect, now, stored))

    def undo_step(self) -> None:
        """Undo every step, and check the state before it."""
        for deed, steps, recorded, stored in reversed(self.before):
            for number in steps:
                assert history.undo(self.database, by=BY).id == number, deed
            found = state(self.database)
            there, then = faces_of(found), faces_of(recorded)
            assert about(found, then) == about(recorded, there), deed
            if stored is not None and then <= there:
                assert similar(fresh_prototypes(self.database), stored), deed


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("seed", soaking(range(20), else_=range(2)))
def test_corrections_hold_and_every_step_is_undone_exactly(
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
    story.undo_step()
