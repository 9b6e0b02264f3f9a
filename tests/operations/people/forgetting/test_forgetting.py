"""A person who is forgotten is gone: from tables and their files and from caches, and for good."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fixtures.corrections import BY, apart, by_sql, call, hide, merge, move, pair, redo, undo
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import (
    add_like,
    add_person,
    cluster,
    cluster_of,
    face_of,
    heart_of,
    rows,
    who_is,
)
from tests.fixtures.made_faces import SETTINGS, made_faces, made_file, made_image
from tests.fixtures.made_metadata import with_metadata
from tests.fixtures.postgres import OwnServer, open_directory, wait_until_unused
from tests.fixtures.waiting import PATIENCE_S

from facesets.errors import AlreadyRunning, CannotWrite, Changed, WrongUsage
from facesets.formats.hierarchy import unpacked
from facesets.imaging.bodies import COLOURS, PhotoBodies
from facesets.imaging.metadata.record import PhotoMetadata
from facesets.operations.library.check import check
from facesets.operations.options.upkeep import MaintainOptions
from facesets.operations.people.assigning.prototypes import prototypes
from facesets.operations.people.corrections import history, naming
from facesets.operations.people.corrections.births import Birth, set_birth
from facesets.operations.people.forgetting.finishing import Scrubbed
from facesets.operations.people.forgetting.forget import forget
from facesets.operations.people.forgetting.forget_proof import names_in
from facesets.operations.people.forgetting.person_to_erase import plan_forget
from facesets.operations.people.forgetting.written_names import holds_name, written_forms
from facesets.operations.people.lists.listing import person
from facesets.operations.people.review.questions import refresh_questions
from facesets.operations.people.upkeep.tasks import maintain
from facesets.records import CacheSettings, Finding, ImageRecord
from facesets.result import Result
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.store.postgres.people.traces import rewrite_tables
from facesets.store.postgres.photos.face_places import FacePlace, remember_forgotten, without_forgotten
from facesets.words import corrections
from facesets.work import Work

pytestmark = pytest.mark.slow

NAME = "Änne Zwölfender"
FORGET = "facesets.operations.people.forgetting"


def forgotten(library: Library, who: str = NAME, caches: Sequence[Cache] = ()) -> Result:
    return forget(library.database, who, caches, work=Work(by=BY))


def lines(done: Result) -> str:
    """What the command prints of it."""
    return "\n".join(corrections.forget(done, exports=False))


def unit(vector: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def together(name: str) -> ImageRecord:
    """A photo of Änne and Ben, beside each other."""
    image = made_image(name, 2)
    rng = np.random.default_rng(sum(name.encode()))
    embedding = np.stack([unit(heart_of(who) + rng.standard_normal(512) * 0.02) for who in ("anne", "ben")])
    box = np.array([[10, 10, 110, 130], [115, 20, 215, 140]], np.float32)
    return replace(image, faces=replace(made_faces(2), embedding=embedding, box=box))


def commit(library: Library, path: str, image: ImageRecord, settings: CacheSettings = SETTINGS) -> None:
    with library.writing(settings):
        library.commit([made_file(path, image)], [image])


def fill(database: Database) -> None:
    library = Library(database)
    for name, images in (("anne", 5), ("ben", 4), ("cleo", 3)):
        add_person(library, name, images)
    for number in range(3):
        commit(library, f"/both-{number}.jpg", together(f"both-{number}"))
    cluster(library)
    call(library, "anne-0-0", NAME)
    call(library, "ben-0-0", "Ben")


template = template_by(fill)


def faces_by_person(library: Library) -> dict[str, int]:
    found = rows(
        library,
        """SELECT coalesce((SELECT name FROM person_names n WHERE n.person_id = f.person_id LIMIT 1), '-'),
            count(*) FROM face_detections f GROUP BY 1""",
    )
    return dict(found)


class Known(NamedTuple):
    """The texts by which a person can be found in tables, and their faces."""

    texts: list[str]
    vectors: list[bytes]
    faces: list[int]


def known_of(library: Library, label: str) -> Known:
    who = who_is(library, label)
    found = rows(
        library,
        f"""SELECT face_id, embedding::text, embedding::real[] FROM face_embeddings
            JOIN face_detections f ON f.id = face_id WHERE person_id = '{who}'""",
    )
    vectors = [np.array(vector, np.float32).tobytes() for _, _, vector in found]
    texts = [NAME, who, who.replace("-", ""), *(text[:80] for _, text, _ in found)]
    return Known(
        [*texts, *(vector[:64].hex() for vector in vectors)], vectors, [face for face, _, _ in found]
    )


def left_of(library: Library, known: Known) -> set[str]:
    """Return the tables, and the columns of faces, that hold data of a person."""
    found = set()
    columns = """SELECT table_name, column_name FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name) WHERE table_schema = 'public'
            AND table_type = 'BASE TABLE' AND ({})"""
    for table in {table for table, _ in rows(library, columns.format("TRUE"))}:
        held = " OR ".join(f"t::text ILIKE '%{text}%'" for text in known.texts)
        if rows(library, f"SELECT FROM {table} t WHERE {held}"):
            found.add(table)
    for table, column in rows(library, columns.format("column_name ~ 'face_(id|a|b)$'")):
        if rows(library, f"SELECT FROM {table} WHERE {column} = ANY(ARRAY{known.faces})"):
            found.add(f"{table}.{column}")
    return found


class Way(NamedTuple):
    """A way in which data of Änne came into tables, a query about the others, and where she was."""

    leave: Callable[[Library], object]
    query: str = "SELECT 1"
    stored: Sequence[tuple[object, ...]] = ((1,),)
    place: str = "person_names"


def steps_taken_back(library: Library) -> None:
    changes: list[Callable[[], object]] = [
        lambda: naming.rename(library.database, NAME, "Anni Zwölfender", by=BY),
        lambda: apart(library, NAME, "Ben"),
        lambda: prototypes(library.database, pin=[face_of(library, "anne-0-0")], by=BY),
    ]
    for change in changes:
        change()
        undo(library)
        assert history.log(library.database, NAME)[0].kind == "undo"


def merges_taken_back(library: Library) -> None:
    merge(library, NAME, into="Ben")
    hide(library, "Ben")
    for _ in range(2):
        undo(library)
    merge(library, NAME, into="Ben")
    undo(library)
    redo(library)
    cluster(library)
    undo(library)
    cluster(library)


def merged_temporarily_with_unnamed(library: Library) -> None:
    merge(library, NAME, into="cleo-0-0")
    hide(library, NAME)
    move(library, "ben-0-0", to=NAME)
    for _ in range(3):
        undo(library)


def in_run_options(library: Library) -> None:
    notices = '{"target": "/photos/' + NAME + '", "max_faces": 1}'
    by_sql(library, f"UPDATE runs SET options = '{notices}', summary = '{notices}'")


def in_clusters(library: Library) -> None:
    anne, ben = (who_is(library, f"{name}-0-0") for name in ("anne", "ben"))
    alone, shared = face_of(library, "anne-0-0"), face_of(library, "anne-0-1")
    by_sql(
        library,
        f"""INSERT INTO clusters (id, model_id) SELECT c.name, min(m.id) FROM models m,
                unnest(ARRAY['clu_1', 'clu_2', 'clu_3']) AS c (name) GROUP BY 1;
            UPDATE face_detections SET cluster = 'clu_3' WHERE person_id = '{ben}';
            UPDATE face_detections SET cluster = 'clu_2' WHERE person_id = '{anne}';
            UPDATE face_detections SET cluster = 'clu_1' WHERE id = {alone};
            UPDATE face_detections SET cluster = 'clu_3' WHERE id = {shared};
            INSERT INTO cluster_centers (cluster_id, faces, fingerprint, centroid)
                SELECT c.id, 1, 0, e.embedding FROM clusters c, face_embeddings e
                WHERE e.face_id = {alone} AND c.id LIKE 'clu__'""",
    )


def with_bodies(library: Library) -> None:
    image = made_image("anne-1-0", 1)
    image = replace(image, faces=replace(image.faces, embedding=unit(heart_of("anne"))[None]))
    body = PhotoBodies(
        box=np.array([[0, 0, 640, 480], [0, 0, 20, 20]], np.float32),
        score=np.full(2, 0.9, np.float32),
        face=np.array([0, -1]),
        face_box=np.full((2, 4), np.nan, np.float32),
        face_score=np.full(2, np.nan, np.float32),
        colours=np.ones((2, COLOURS), np.uint8),
    )
    commit(library, "/anne-1-0.jpg", image.with_finding("bodies", Finding("a model", body)))
    cluster(library)
    assert rows(library, "SELECT count(*), count(face_id) FROM bodies") == [(2, 1)]


def in_file_metadata(library: Library) -> None:
    reported = PhotoMetadata(
        taken_text=f"2019-07-04 {NAME}",
        refused={"DateTime": f"{NAME} is no date", "GPSAltitude": "is no number"},
        extra={"dc:subject": ["beach", NAME], "lr:hierarchicalSubject": [f"People|{NAME}"], "Flash": 16},
    )
    commit(library, "/both-0.jpg", with_metadata(together("both-0"), reported))


def born(library: Library) -> None:
    for who, year in (("Ben", 1985), (NAME, 1962)):
        set_birth(library.database, who, Birth(year), by=BY, today=date(2024, 5, 1))


def in_questions(library: Library) -> None:
    add_like(library, "annie", "anne", 0.52, 3)
    cluster(library, method="components")
    refresh_questions(library)


WAYS = {
    "as somebody who has a name": Way(lambda _: None),
    "hidden": Way(lambda library: hide(library, NAME)),
    "in steps that were taken back": Way(steps_taken_back, place="step_rows"),
    "in merges that were taken back": Way(merges_taken_back, place="step_rows"),
    "in the name of somebody unnamed": Way(merged_temporarily_with_unnamed, place="step_rows"),
    "in what runs were told": Way(
        in_run_options, "SELECT DISTINCT options::text, summary::text FROM runs", [("{}", None)], "runs"
    ),
    "in clusters, and means that hold a face": Way(
        in_clusters, "SELECT id FROM clusters WHERE id LIKE 'clu__'", [("clu_3",)], "cluster_centers"
    ),
    "with a body": Way(
        with_bodies, "SELECT count(*), count(face_id) FROM bodies", [(1, 0)], "bodies.face_id"
    ),
    "in what files say of photos": Way(
        in_file_metadata,
        "SELECT taken_text, refused, extra FROM photo_metadata JOIN photo_extra USING (image_id)",
        [("", {"GPSAltitude": "is no number"}, {"Flash": 16})],
        "photo_extra",
    ),
    "with a birth": Way(
        born,
        """SELECT year, (SELECT count(*) FROM step_rows WHERE in_table = 'birth_corrections')
            FROM birth_corrections""",
        [(1985, 1)],
        "birth_corrections",
    ),
    "in questions": Way(in_questions, "SELECT count(*) FROM person_candidates", [(0,)], "person_candidates"),
    "in a hierarchy of all faces": Way(
        lambda library: cluster(library, method="hdbscan"), place="hdbscan_faces.face_id"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_trace_of_the_person_is_left_and_the_others_stay(library: Library, way: str) -> None:
    WAYS[way].leave(library)
    known, before = known_of(library, "anne-0-0"), faces_by_person(library)
    assert WAYS[way].place in left_of(library, known)
    summary = forgotten(library)
    assert (summary.faces, summary.loose_faces) == (before.pop(NAME), 0)
    assert left_of(library, known) == set()
    assert faces_by_person(library) == before
    assert (summary.proof.is_clean, summary.proof.vectors_left, summary.proof.names_left) == (True, 0, [])
    assert rows(library, WAYS[way].query) == list(WAYS[way].stored)
    with pytest.raises(WrongUsage, match="Person not found"):
        person(library.database, NAME, faces=0)
    # The others can be changed, and that taken back.
    naming.rename(library.database, "Ben", "Benno", by=BY)
    assert undo(library).kind == "rename"


def test_people_merged_into_the_person_are_forgotten_with_them(library: Library) -> None:
    call(library, "cleo-0-0", "Cleopatra")
    merge(library, "Cleopatra", into=NAME)
    summary = forgotten(library)
    assert (summary.faces, summary.proof.is_clean) == (11, True)
    assert rows(library, "SELECT count(*) FROM persons") == [(1,)]
    assert not any("leopatra" in str(row) for row in rows(library, "SELECT * FROM step_rows"))


def test_an_unnamed_person_can_be_forgotten(library: Library) -> None:
    summary = forgotten(library, who_is(library, "cleo-0-0"))
    assert (summary.faces, summary.proof.is_clean) == (3, True)
    assert faces_by_person(library) == {NAME: 8, "Ben": 7}


def test_the_photos_indexed_again_do_not_bring_the_person_back(library: Library) -> None:
    forgotten(library)
    cluster(library)
    for name in ("both-0", "both-1"):
        image = together(name)
        for shift, size in ((0, 320), (6, 640)):
            settings = replace(SETTINGS, det_size=size)
            moved = replace(image, faces=replace(image.faces, box=image.faces.box + np.float32(shift)))
            commit(Library(library.database), f"/{name}.jpg", moved, settings)
    assert rows(
        library,
        """SELECT d.det_size, count(*) FROM face_detections f JOIN detectors d ON d.id = f.detector_id
            JOIN image_paths p USING (image_id) WHERE p.path LIKE '/both-%' GROUP BY 1 ORDER BY 1""",
    ) == [(320, 2), (640, 3)]
    near = rows(library, "SELECT embedding::real[] FROM face_embeddings")
    anne = unit(heart_of("anne"))
    assert max(float(np.array(vector, np.float32) @ anne) for (vector,) in near) < 0.5


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_a_face_is_recognised_in_a_slightly_different_box_but_not_its_neighbour(
    database: Database, scale: float
) -> None:
    rng = np.random.default_rng(0)
    image = made_image("photo", 1)

    def left(connection: Connection, x: float, y: float, half: NDArray[np.float64]) -> int:
        box = np.array([[*(np.array([x, y]) - half), *(np.array([x, y]) + half)]], np.float32)
        seen = replace(image, faces=replace(image.faces, box=box))
        return len(without_forgotten(connection, [seen])[0].faces)

    def work(connection: Connection) -> None:
        for x1, y1, width in rng.uniform(20, 400, (60, 3)).tolist():
            height = width * 1.2
            connection.execute("DELETE FROM forgotten_faces")
            place = FacePlace(image.sha256, 640, 480, (x1, y1, x1 + width, y1 + height))
            remember_forgotten(connection, [place])
            x, y, half = x1 + width / 2, y1 + height / 2, scale * np.array([width, height]) / 2
            assert left(connection, x + 0.1 * width, y - 0.1 * height, half) == 0
            assert left(connection, x + 0.9 * width, y, half) == 1

    database.run(work)


def test_unassigned_faces_of_the_person_go_too_but_not_those_confirmed_as_another(library: Library) -> None:
    add_person(library, "anne", 2, seed=1)
    face = face_of(library, "anne-0-1")
    move(library, "anne-0-1", to="nobody")
    summary = forgotten(library)
    assert (summary.faces, summary.loose_faces) == (7, 2)
    assert face_of(library, "anne-0-1") == face
    theirs = f"the cluster {cluster_of(library, 'anne-0-1')}"
    assert summary.proof.of_others == {"faces confirmed as another person": 1, theirs: 1}
    assert summary.proof.is_clean


def test_a_similar_person_is_reported_and_stays(library: Library) -> None:
    add_person(library, "anne", 2, seed=1)
    twin = [f"anne-1-{n}" for n in range(2)]
    for one in twin:
        pair(library, "anne-0-0", one, same=False)
    move(library, *twin, to="new")
    # The name holds the other's.
    call(library, twin[0], f"{NAME} junior")
    prototypes(library.database)
    alike = f"the person {who_is(library, twin[0])}"
    proof = forgotten(library).proof
    assert proof.of_others[f"{NAME} junior"] >= 1
    assert proof.of_others[alike] >= 1
    assert proof.names_of_others
    assert proof.is_clean
    assert faces_by_person(library) == {"Ben": 7, "-": 3, f"{NAME} junior": 2}


def test_a_person_merged_into_meanwhile_is_not_erased(library: Library) -> None:
    anne = who_is(library, "anne-0-0")
    merge(library, anne, into="ben-0-0")
    before = faces_by_person(library)
    with pytest.raises(Changed, match="Nothing was erased"):
        forget(library.database, anne, exactly=True, work=Work(by=BY))
    assert faces_by_person(library) == before


def test_steps_about_the_person_cannot_be_undone_and_all_others_can(library: Library) -> None:
    naming.rename(library.database, "Ben", "Benno", by=BY)
    ben = {step.id: step.what for step in history.log(library.database) if "Ben" in step.what}
    about = [step.id for step in history.log(library.database) if NAME in step.what]
    forgotten(library)
    log = {step.id: step for step in history.log(library.database)}
    assert not any("nne" in step.what for step in log.values())
    for number in about:
        with pytest.raises(WrongUsage, match="about a person who was erased, and the data it would"):
            undo(library, number)
    refusal = (
        rf"cannot be undone\. To undo change {max(ben)} \(.*Ben.*\) instead, run .people undo {max(ben)}"
    )
    with pytest.raises(WrongUsage, match=refusal):
        undo(library)
    assert undo(library, max(ben)).what == ben[max(ben)]
    assert "Ben" in faces_by_person(library)
    redo(library)
    assert "Benno" in faces_by_person(library)
    for number in (max(ben), min(ben)):
        undo(library, number)
    assert undo(library, min(log)).kind == "cluster"
    assert faces_by_person(library) == {"-": 10}


def test_reference_faces_and_centers_of_the_others_are_there_at_once(library: Library) -> None:
    cluster(library, method="hdbscan")
    maintain(library, ["centroids", "medoids"], MaintainOptions(), work=Work(by=BY))
    made = """SELECT person_id::text AS of FROM person_prototypes WHERE kind = 'centroid'
        UNION SELECT cluster_id FROM cluster_centers ORDER BY 1"""
    before = [of for (of,) in rows(library, made)]
    anne = who_is(library, "anne-0-0")
    theirs = {anne, f"person_{anne}", cluster_of(library, "anne-0-0")}
    forgotten(library)
    assert [of for (of,) in rows(library, made)] == [of for of in before if of not in theirs]


def test_options_of_runs_stay_if_only_words_of_the_program_match_the_name(library: Library) -> None:
    naming.rename(library.database, NAME, "Max", by=BY)
    reported = rows(library, "SELECT options::text FROM runs ORDER BY id")
    assert any("max_faces" in options for (options,) in reported)
    assert forgotten(library, "Max").proof.is_clean
    assert rows(library, "SELECT options::text FROM runs ORDER BY id") == reported


def test_tags_cameras_and_models_that_are_called_like_the_person_are_not_theirs(library: Library) -> None:
    call(library, "cleo-0-0", "Claude Dawn")
    by_sql(
        library,
        """INSERT INTO cameras (make, model, lens) VALUES ('Claude Dawn', '', '');
        INSERT INTO stage_versions (stage, version) VALUES ('scene', 'clip; claude dawn 1234');
        INSERT INTO tag_categories (name, target, selection_mode, min_confidence, templates, none_prompts)
            VALUES ('time', 'scene', 'single', 0, '{}', '{claude dawn}');
        INSERT INTO tags (category_id, place, name, phrases)
            SELECT id, 0, 'Claude Dawn', '{claude dawn}' FROM tag_categories;
        INSERT INTO description_jobs (key, provider, place, model, prompt, is_batch, status)
            VALUES ('k', 'anthropic', '', 'claude dawn', '', true, 'ended')""",
    )
    proof = forgotten(library, "Claude Dawn").proof
    assert (proof.is_clean, proof.names_left) == (True, [])
    assert {place.partition(".")[0] for place in proof.names_of_others} == {
        *("cameras", "stage_versions", "tag_categories", "tags", "description_jobs")
    }


def test_a_vector_that_comes_back_is_found(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    anne, nobodys = face_of(library, "anne-0-0"), face_of(library, "cleo-0-0")
    ((vector,),) = rows(library, f"SELECT embedding::text FROM face_embeddings WHERE face_id = {anne}")

    def sabotaged(_: Database) -> Scrubbed:
        by_sql(
            library,
            f"""UPDATE face_detections SET person_id = NULL WHERE id = {nobodys};
                UPDATE face_embeddings SET embedding = '{vector}' WHERE face_id = {nobodys}""",
        )
        return Scrubbed()

    monkeypatch.setattr(f"{FORGET}.forget.scrub", sabotaged)
    proof = forgotten(library).proof
    assert (proof.is_clean, proof.vectors_left) == (False, 1)


def test_a_cache_loses_the_person_and_keeps_the_others(library: Library, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "faces.npz")
    with_both = [together(f"both-{n}") for n in range(3)]
    # A photo that the library never saw.
    unseen = replace(
        made_image("unseen", 1), faces=replace(made_faces(1), embedding=unit(heart_of("anne"))[None])
    )
    images = [*with_both, unseen]
    cache.require(SETTINGS)
    with cache.writing(SETTINGS):
        cache.commit([made_file(f"/{n}.jpg", image) for n, image in enumerate(images)], images)
    before = cache.path.read_bytes()
    anne, ben = (image.faces.embedding[who].tobytes() for image in with_both[:1] for who in (0, 1))
    assert anne in before
    summary = forgotten(library, caches=[cache])
    after = cache.path.read_bytes()
    assert anne not in after
    assert ben in after
    assert len(Cache(cache.path).load().faces) == 3
    assert (summary.caches[0].faces, summary.caches[0].vectors_left, summary.proof.is_clean) == (4, 0, True)


def test_files_are_not_reported_clean_without_a_face_of_the_person(library: Library, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "faces.npz")
    with cache.writing(SETTINGS):
        cache.commit([made_file("/anne.jpg", together("anne"))], [together("anne")])
    assert lines(forgotten(library, "Ben", [cache])).count("no embedding or name of this person found") == 1
    by_sql(library, "DELETE FROM face_detections")
    summary = forgotten(library, caches=[cache])
    assert summary.faces == 0
    printed = lines(summary)
    assert "no name of this person found" in printed
    assert "Not erased: faces in caches and result folders. The library has no face of this person" in printed


def test_a_saved_hierarchy_continues_without_the_person(empty_database: Database) -> None:
    library = Library(empty_database)
    for name in ("anne", "ben", "cleo"):
        add_person(library, name, 6)
    cluster(library, method="hdbscan")
    call(library, "anne-0-0", NAME)
    (run,) = rows(empty_database, "SELECT id, faces FROM hdbscan_runs")
    hers = [face_of(library, f"anne-0-{number}") for number in range(6)]

    def owner(label: str) -> list[tuple[Any, ...]]:
        face = face_of(library, label)
        return rows(empty_database, f"SELECT person_id, cluster FROM face_detections WHERE id = {face}")

    ben = owner("ben-0-0")
    assert forgotten(library).proof.is_clean
    assert rows(empty_database, "SELECT id, faces FROM hdbscan_runs") == [run]
    _, face_id = unpacked(bytes(rows(empty_database, "SELECT arrays FROM hdbscan_runs")[0][0]))
    assert not set(face_id.tolist()) & set(hers)
    assert sorted(face_id.tolist())[:7] == [0] * 6 + [face_of(library, "ben-0-0")]
    # Of photos that are new to the library.
    for name in ("anne", "ben"):
        add_person(library, name, 1, seed=1)
    summary = cluster(library, method="hdbscan")
    assert rows(empty_database, "SELECT id, faces FROM hdbscan_runs") == [run]
    assert owner("ben-1-0") == ben
    assert who_is(library, "anne-1-0") == ""
    assert summary.new_persons == 0


def test_faces_that_are_being_written_meanwhile_are_waited_for(
    library: Library, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writing session has read data that must never come back, and would store it."""
    other = Database(library_url)
    reading, erased = threading.Event(), threading.Event()
    waited: list[bool] = []

    def write(connection: Connection) -> None:
        without_forgotten(connection, [together("both-0")])
        reading.set()
        waited.append(not erased.wait(0.7))

    def scrub(_: Database) -> Scrubbed:
        erased.set()
        return Scrubbed()

    monkeypatch.setattr(f"{FORGET}.forget.scrub", scrub)
    writer = threading.Thread(target=other.run, args=(write,))
    writer.start()
    assert reading.wait(PATIENCE_S)
    forgotten(library)
    writer.join()
    other.close()
    assert waited == [True]


@pytest.fixture(scope="module")
def filled_server() -> Iterator[Path]:
    """The files of a server that was stopped, with a library as `fill` leaves it."""
    base = open_directory(in_memory=True)
    with running(base) as server:
        session = Database(server.conninfo)
        migrate(session, shipped_migrations())
        fill(session)
        session.run(lambda connection: connection.execute("ANALYZE").rowcount)
        session.close()
    yield base
    shutil.rmtree(base)


@contextmanager
def running(base: Path) -> Iterator[OwnServer]:
    server = OwnServer(base / "postgres", durable=False)
    with server:
        yield server
    server.stop()
    wait_until_unused(base / "postgres")


@pytest.fixture
def own_server(filled_server: Path) -> Iterator[OwnServer]:
    """A server with files of this test alone."""
    base = open_directory(in_memory=True)
    # The server's account owns its files.
    subprocess.run(["cp", "-a", filled_server / "postgres", base], check=True)
    with running(base) as server:
        yield server
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def own_library(own_server: OwnServer) -> Iterator[Library]:
    session = Database(own_server.conninfo)
    yield Library(session)
    session.close()


def files_with(server: OwnServer, wanted: Sequence[bytes]) -> list[Path]:
    files = [path for path in server.endpoint.directory.parent.rglob("*") if path.is_file()]
    held = {path: path.read_bytes() for path in files}
    return [path for path, content in held.items() if any(each in content for each in wanted)]


def killed_in(name: str, conninfo: str) -> int:
    """Forget Änne in a process that is killed where it would call a function; returns how it ended."""
    module, _, attribute = name.rpartition(".")

    def deadly(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        setattr(sys.modules[module], attribute, deadly)
        forgotten(Library(Database(conninfo)))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode or 0


def once_free(library: Library) -> Result:
    """Forget Änne as soon as the server let go of the lock of who was killed."""
    for _ in range(50):
        try:
            return forgotten(library)
        except AlreadyRunning:
            time.sleep(0.1)
    return forgotten(library)


MOMENTS = {
    "undisturbed": "",
    "killed while it is being erased": f"{FORGET}.forget.note_erased",
    "killed before tables are rewritten": f"{FORGET}.finishing.rewrite_tables",
    "killed while the log is removed": "facesets.store.postgres.people.traces._current_segment",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_file_of_the_server_holds_a_vector_or_the_name_once_the_command_came_to_its_end(
    own_server: OwnServer, own_library: Library, moment: str
) -> None:
    names = [NAME.encode(), quote(NAME).encode(), NAME.encode("utf-16-le")]
    wanted = known_of(own_library, "anne-0-0").vectors
    if moment == "undisturbed":
        wanted += names
    else:
        # Another person with a part of the name as their name: that name contains this one, and stays.
        call(own_library, "cleo-0-0", f"{NAME} junior")
        assert killed_in(MOMENTS[moment], own_server.conninfo) == -signal.SIGKILL
    assert files_with(own_server, wanted)
    summary = once_free(own_library)
    assert summary.was_cut_off == (moment not in {"undisturbed", "killed while it is being erased"})
    assert summary.log_removed
    assert summary.proof.is_clean
    assert files_with(own_server, wanted) == []
    assert faces_by_person(own_library) == {"Ben": 7, "-" if wanted[-1] in names else f"{NAME} junior": 3}
    assert rows(own_library, "SELECT count(*) FROM unfinished_forgetting") == [(0,)]
    assert rows(own_library, "SHOW wal_recycle") == [("on",)]


@pytest.mark.parametrize("by", ["the same command", "check"])
def test_a_full_disk_leaves_the_rest_to_the_same_command_or_to_check(
    library: Library, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    def full(_: Connection) -> list[str]:
        raise CannotWrite("The disk is full.")

    number = who_is(library, "anne-0-0")
    with monkeypatch.context() as patched:
        patched.setattr(f"{FORGET}.finishing.rewrite_tables", full)
        summary = forgotten(library)
    assert "run the same command again" in summary.out_of_reach[0]
    (stored,) = rows(library, "SELECT * FROM unfinished_forgetting")
    assert NAME.casefold().encode() not in b"".join(stored[1] + stored[2])
    assert plan_forget(library.database, NAME, [], []).was_cut_off
    assert plan_forget(library.database, number, [], []).was_cut_off
    assert [problem.count for problem in check(library, fix=False).problems] == [1]
    file = rows(library, "SELECT pg_relation_filenode('face_embeddings')")
    if by == "check":
        check(library, fix=True, by=BY)
    else:
        summary = forgotten(library, number[:8])
        assert (summary.was_cut_off, summary.person, summary.proof.is_clean) == (True, "", True)
    assert rows(library, "SELECT pg_relation_filenode('face_embeddings')") != file
    assert check(library, fix=False).problems == []
    with pytest.raises(WrongUsage, match="Person not found"):
        forgotten(library)


def test_tables_that_the_user_of_the_server_may_not_rewrite_are_reported(database: Database) -> None:
    def as_owner_of_nothing(connection: Connection) -> list[str]:
        connection.execute("CREATE ROLE guest; GRANT USAGE ON SCHEMA public TO guest; SET ROLE guest")
        try:
            return rewrite_tables(connection)
        finally:
            connection.execute("RESET ROLE; DROP OWNED BY guest; DROP ROLE guest")

    assert {"face_embeddings", "persons", "pg_statistic"} <= set(database.run_alone(as_owner_of_nothing))
    assert database.run_alone(rewrite_tables) == []


WRITTEN = (
    NAME,
    NAME.lower(),
    "%C3%84nne%20Zw%C3%B6lfender",
    r"\u00c4nne Zw\u00f6lfender",
    "A\u0308nne Zwo\u0308lfender",
)


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_name_is_found_however_it_is_written(written: str, encoding: str) -> None:
    forms = written_forms([NAME])
    assert holds_name(b"\0\0" + f"x: {written}, y".encode(encoding), forms)
    assert not holds_name("Anne Zwoelfender, Änne Zwölfenderin".encode(), forms)


@pytest.mark.parametrize("reported", [NAME, NAME.upper(), f"two lines\n{NAME}", f"a\t{NAME}"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_name_is_found_however_json_escapes_it(tmp_path: Path, reported: str, ascii_only: bool) -> None:
    (tmp_path / "set").mkdir()
    held, other = tmp_path / "set" / "x_visomaster.json", tmp_path / "other.json"
    held.write_text(json.dumps([{"name": reported}], ensure_ascii=ascii_only), "utf-8")
    other.write_text(json.dumps([f"{NAME}ova", "Änne\nZwölfe"]), "utf-8")
    assert names_in(tmp_path, written_forms([NAME]), set()) == (["set/x_visomaster.json"], [])


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_name_that_looks_like_a_path_is_found_whole(tmp_path: Path, ascii_only: bool) -> None:
    forms = written_forms(["Änne/Zwölf"])
    for name, reported in {"held": "Änne/Zwölf", "parts": "Änne/Berg", "photo": "/photos/Änne/Zwölf"}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps([reported], ensure_ascii=ascii_only), "utf-8")
    assert names_in(tmp_path, forms, set())[0] == ["held.json"]
