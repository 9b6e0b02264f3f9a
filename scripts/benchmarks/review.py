"""Count the answers of a user until the faces of people they know are right.

    .venv/bin/python scripts/benchmarks/review.py FACES.npz [--method auto] [--known 3] [--right 0.95]

FACES.npz holds `embedding` (n, d) and `name` (n,): who each face really shows. A library is filled with them
and grouped by `cluster`. A simulated user, who knows people with enough photos, then answers truthfully:

- by `people review`: what is asked, in its order. Yes, no, a name and "does not matter" are an answer each,
  and so is every item that is named as the contrary of the others.
- by size: who each group of faces is, the largest first, then each face that is alone, in no order. It is an
  answer also where the user does not know them.

A face of a known person is right if its person has their name. However well the library is grouped, each
person has to be named once: that least number stands beside the figures. Of the others it is reported how
many have a name. When nothing is left to ask, `assign` and `cluster --method auto` run before it goes on. A
throw-away embedded server is used.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from throw_away import throw_away_library

from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions
from facesets.operations.people.assigning.assigning import assign
from facesets.operations.people.grouping.cluster_library import cluster_library
from facesets.operations.people.review.answering import answer
from facesets.operations.people.review.questions import Question, next_questions, refresh_questions
from facesets.records import Bool, Float32, Int64
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import INT2, INT8, copy_in, vector
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "benchmark@here"
REFRESHED_EVERY = 20
STEPS = (0.5, 0.8, 0.9, 0.95, 0.98)


@dataclass
class User:
    """A user who knows the people in the photos, and answers suggestions."""

    truth: Int64
    names: Sequence[str]
    known: Bool
    answers: int = 0
    kinds: dict[str, int] = field(default_factory=dict)

    def person_of(self, faces: Sequence[int]) -> int:
        """Return the person on most of these faces."""
        return int(np.bincount(self.truth[np.array(faces) - 1]).argmax())

    def give(self, database: Database, question: Question) -> None:
        """Answer one question."""
        person = self.person_of(question.faces)
        shown = [self.person_of(item.faces) for item in question.items]
        nameless = shown[0] if question.items and question.nameless != question.person else person
        yes = [each != person if question.kind == "split" else each == person for each in shown]
        cost, verdict, name = 1, "yes" if sum(yes) * 2 >= len(yes) else "no", ""
        but = [
            item.number for item, each in zip(question.items, yes, strict=True) if each != (verdict == "yes")
        ]
        cost += len(but)
        if question.kind in {"name", "same"} and question.nameless and not any(yes) and len(yes) < 2:
            verdict, name = ("name", self.names[nameless]) if self.known[nameless] else ("hide", "")
        answer(database, question.id, verdict, by=BY, but=but, name=name, into=True)  # type: ignore[arg-type]
        self.answers += cost
        self.kinds[question.kind] = self.kinds.get(question.kind, 0) + cost


def fill(database: Database, rows: Float32) -> None:
    """Add a face on an image of its own for each vector, numbered from 1."""
    count, dimension = rows.shape

    def work(connection: Connection) -> None:
        connection.execute(
            "INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'm', 'm', %s)", (dimension,)
        )
        connection.execute(
            """INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
                VALUES (1, 'p', 'd', 'd', 640, 0.5)"""
        )
        connection.execute(
            """INSERT INTO images (sha256, width, height, fingerprint)
                SELECT encode(sha256(i::text::bytea), 'hex'), 100, 100, '' FROM generate_series(1, %s) i""",
            (count,),
        )
        connection.execute("INSERT INTO face_scans (image_id, detector_id) SELECT id, 1 FROM images")
        connection.execute(
            """INSERT INTO face_detections (image_id, detector_id, ordinal, x1, y1, x2, y2, kps, det_score,
                    quality, face_short, blur, pose)
                SELECT id, 1, 0, 1, 1, 50, 50, '{}', 0.9, 0.8, 49, 100, '{}' FROM images ORDER BY id"""
        )
        copy_in(
            connection,
            "COPY face_embeddings (face_id, model_id, embedding) FROM STDIN (FORMAT BINARY)",
            {"face_id": INT8, "model_id": INT2, "embedding": vector(dimension)},
            {
                "face_id": np.arange(1, count + 1),
                "model_id": np.ones(count, np.int16),
                "embedding": rows,
            },
        )

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def groups_of(database: Database, count: int) -> Int64:
    """Return the person of each face by a number; -1 for none."""
    found = database.run(
        lambda each: each.execute("SELECT id, person_id::text FROM face_detections ORDER BY id").fetchall()
    )
    persons = np.array([person or "" for _, person in found])
    _, group = np.unique(persons, return_inverse=True)
    assert len(group) == count
    return np.where(persons == "", -1, group)


def named(database: Database, names: Sequence[str]) -> Int64:
    """Return the name of each face's person, as an index into `names`; -1 for an unnamed one."""
    number = {name: place for place, name in enumerate(names)}
    found = database.run(
        lambda each: each.execute(
            """SELECT f.id, coalesce((SELECT n.name FROM person_names n WHERE n.person_id = f.person_id
                    ORDER BY n.id LIMIT 1), '')
                FROM face_detections f ORDER BY f.id"""
        ).fetchall()
    )
    return np.array([number.get(name, -1) for _, name in found])


def by_size(group: Int64, user: User, right: float, rng: np.random.Generator) -> dict[float, int]:
    """Count answers until each share of known faces is right, naming groups by size, then faces."""
    labels, size = np.unique(group[group >= 0], return_counts=True)
    order = [np.flatnonzero(group == each) for each in labels[np.argsort(-size, kind="stable")]]
    order += [np.array([row]) for row in rng.permutation(np.flatnonzero(group < 0))]
    reached: dict[float, int] = {}
    total, done = int(user.known[user.truth].sum()), 0
    for answers, rows in enumerate(order, start=1):
        person = int(np.bincount(user.truth[rows]).argmax())
        if user.known[person]:
            done += int((user.truth[rows] == person).sum())
        for share in (*STEPS, right):
            if done >= share * total:
                reached.setdefault(share, answers)
    return reached


def fewest_names(user: User, share: float) -> int:
    """Return the people to name at least once, those with most faces first."""
    faces = np.sort(np.bincount(user.truth[user.known[user.truth]]))[::-1]
    return int(np.searchsorted(np.cumsum(faces), share * faces.sum()) + 1)


def by_review(library: Library, user: User, right: float, most: int) -> dict[float, int]:
    """Count answers until each share of known faces is right, in the order of `people review`."""
    database = library.database
    reached: dict[float, int] = {}
    of_known = user.known[user.truth]
    stuck = False
    asked = 0
    while user.answers < most and right not in reached:
        if asked % REFRESHED_EVERY == 0:
            refresh_questions(library, of_steps=True)
        found = next_questions(database, 1)
        if found:
            user.give(database, found[0])
            asked, stuck = asked + 1, False
        elif stuck:
            break
        else:
            # Faces without an answer are compared with their true person.
            assign(library, AssignOptions(), work=Work(by=BY))
            group(library, ClusterLibraryOptions(method="auto", threshold=None), "again, auto")
            stuck = True
        share_now = float((named(database, user.names) == user.truth)[of_known].mean())
        for share in (*STEPS, right):
            if share_now >= share:
                reached.setdefault(share, user.answers)
    wrong = named(database, user.names)[~of_known]
    print(f"  faces of strangers that have a name: {int((wrong >= 0).sum())} of {len(wrong)}")
    print(f"  faces of known people under a wrong name: {_misnamed(database, user)}")
    return reached


def _misnamed(database: Database, user: User) -> int:
    called = named(database, user.names)
    return int(((called >= 0) & (called != user.truth) & user.known[user.truth]).sum())


def group(library: Library, options: ClusterLibraryOptions, what: str) -> None:
    """Run `cluster`, and print a summary."""
    summary = cluster_library(library, options, work=Work(by=BY))
    print(
        f"  cluster {what}: {summary.new_persons} new people of {summary.new_faces} faces, "
        f"{summary.alone} alone, {summary.questions} questions "
        f"({summary.seconds.get('looking for questions', 0):.1f} s to find them)"
    )


def main() -> None:
    """Fill a library, group it, and answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--known", type=int, default=3)
    parser.add_argument("--right", type=float, default=0.95)
    given = parser.parse_args()
    with np.load(given.faces) as file:
        rows = file["embedding"].astype(np.float32)
        names, truth, photos = np.unique(file["name"], return_inverse=True, return_counts=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    user = User(truth, names.tolist(), photos >= given.known)
    print(f"{len(rows)} faces, {int((photos >= given.known).sum())} known people of {len(names)}")
    options = ClusterLibraryOptions(method=given.method, threshold=given.threshold)
    with throw_away_library() as database:
        fill(database, rows)
        library = Library(database)
        group(library, options, given.method)
        baseline = by_size(groups_of(database, len(rows)), user, given.right, np.random.default_rng(0))
        began = time.monotonic()
        reviewed = by_review(library, user, given.right, 3 * len(rows))
        took = time.monotonic() - began
        print(f"  {user.answers} answers by kind: {user.kinds}; {took / max(user.answers, 1):.3f} s each")
        for share in sorted({*STEPS, given.right}):
            counts = reviewed.get(share, -1), baseline.get(share, -1)
            print(
                f"  {share:.0%} right: {counts[0]} answers by review, {counts[1]} by size; "
                f"{fewest_names(user, share)} names are the least"
            )


if __name__ == "__main__":
    main()
