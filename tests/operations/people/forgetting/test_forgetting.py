"""A person who is forgotten is gone: from tables and their files, caches and results, and for good."""

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
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fixtures.filled_library import template_by
from tests.fixtures.library_people import add_person, cluster, face_of, heart_of, rows, who_is
from tests.fixtures.made_faces import SETTINGS, made_faces, made_file, made_image
from tests.fixtures.made_metadata import with_metadata
from tests.fixtures.photo_library import Library as Photos
from tests.fixtures.postgres import OwnServer, open_directory, wait_until_unused
from tests.fixtures.waiting import PATIENCE_S

from facesets.errors import AlreadyRunning, CannotWrite, Changed, WrongUsage
from facesets.formats.hierarchy import unpacked
from facesets.imaging.bodies import COLOURS, PhotoBodies
from facesets.imaging.metadata.record import PhotoMetadata
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.ingest.index import index
from facesets.operations.library.check import check
from facesets.operations.options.index import IndexOptions
from facesets.operations.people.assigning.prototypes import prototypes
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.forgetting.finishing import Scrubbed
from facesets.operations.people.forgetting.forget import forget, plan_forget
from facesets.operations.people.forgetting.forget_words import holds_name, written_forms
from facesets.operations.people.lists.listing import people, person
from facesets.records import Finding, ImageRecord
from facesets.result import Result
from facesets.sources.galleries import GallerySource
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.store.postgres.people.traces import rewrite_tables
from facesets.store.postgres.photos.face_places import FacePlace, remember_forgotten, without_forgotten
from facesets.work import Work

pytestmark = pytest.mark.slow

BY = "ben@home"
NAME = "Änne Zwölfender"


def call(library: Library, label: str, name: str) -> None:
    naming.name(library.database, who_is(library, label), name, into=False, face=False, by=BY)


def forgotten(library: Library, who: str = NAME, caches: Sequence[Cache] = ()) -> Result:
    return forget(library.database, who, caches, work=Work(by=BY))


def unit(vector: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def together(name: str) -> ImageRecord:
    """A photo of Änne and Ben, beside each other."""
    image = made_image(name, 2)
    rng = np.random.default_rng(sum(name.encode()))
    embedding = np.stack([unit(heart_of(who) + rng.standard_normal(512) * 0.02) for who in ("anne", "ben")])
    box = np.array([[10, 10, 110, 130], [115, 20, 215, 140]], np.float32)
    return replace(image, faces=replace(made_faces(2), embedding=embedding, box=box))


def add_together(library: Library, name: str) -> None:
    image = together(name)
    with library.writing(SETTINGS):
        library.commit([made_file(f"/{name}.jpg", image)], [image])


def fill(database: Database) -> None:
    library = Library(database)
    for name, images in (("anne", 5), ("ben", 4), ("cleo", 3)):
        add_person(library, name, images)
    for number in range(3):
        add_together(library, f"both-{number}")
    cluster(library)
    call(library, "anne-0-0", NAME)
    call(library, "ben-0-0", "Ben")


template = template_by(fill)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


def faces_by_person(library: Library) -> dict[str, int]:
    found = rows(
        library.database,
        """SELECT coalesce((SELECT name FROM person_names n WHERE n.person_id = f.person_id LIMIT 1), '-'),
            count(*) FROM face_detections f GROUP BY 1""",
    )
    return dict(found)


def test_nothing_of_the_person_is_left_and_the_others_of_the_photos_keep_their_faces(
    library: Library,
) -> None:
    assert faces_by_person(library) == {NAME: 8, "Ben": 7, "-": 3}
    summary = forgotten(library)
    assert faces_by_person(library) == {"Ben": 7, "-": 3}
    assert (summary.faces, summary.proof.is_clean, summary.proof.vectors_left) == (8, True, 0)
    with pytest.raises(WrongUsage, match="Nobody is called"):
        person(library.database, NAME, faces=0)
    assert rows(library.database, "SELECT count(*) FROM images") == [(15,)]


def test_the_photos_indexed_again_do_not_bring_the_person_back(library: Library) -> None:
    forgotten(library)
    cluster(library)
    for name in ("both-0", "both-1"):
        image = together(name)
        for shift, size in ((0, 320), (6, 640)):
            settings = replace(SETTINGS, det_size=size)
            moved = replace(image, faces=replace(image.faces, box=image.faces.box + np.float32(shift)))
            seen = Library(library.database, settings)
            with seen.writing(settings):
                seen.commit([made_file(f"/{name}.jpg", image)], [moved])
    assert rows(
        library.database,
        """SELECT d.det_size, count(*) FROM face_detections f JOIN detectors d ON d.id = f.detector_id
            JOIN image_paths p USING (image_id) WHERE p.path LIKE '/both-%' GROUP BY 1 ORDER BY 1""",
    ) == [(320, 2), (640, 3)]
    near = rows(library.database, "SELECT embedding::real[] FROM face_embeddings")
    anne = unit(heart_of("anne"))
    assert max(float(np.array(vector, np.float32) @ anne) for (vector,) in near) < 0.5


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_a_face_is_known_again_in_a_somewhat_other_box_and_no_neighbour_is_taken_for_it(
    database: Database, scale: float
) -> None:
    rng = np.random.default_rng(0)
    image = made_image("photo", 1)
    boxes = [(x, y, x + edge, y + edge * 1.2) for x, y, edge in rng.uniform(20, 400, (60, 3)).tolist()]
    for box in boxes:
        x1, y1, x2, y2 = box
        width, height = x2 - x1, y2 - y1

        def at(right: float, down: float, box: tuple[float, ...] = box) -> ImageRecord:
            middle = (box[0] + box[2]) / 2 + right, (box[1] + box[3]) / 2 + down
            half = (box[2] - box[0]) / 2 * scale, (box[3] - box[1]) / 2 * scale
            moved = [middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]]
            return replace(image, faces=replace(image.faces, box=np.array([moved], np.float32)))

        def left(record: ImageRecord, box: tuple[float, ...] = box) -> int:
            def work(connection: Connection) -> int:
                connection.execute("DELETE FROM forgotten_faces")
                remember_forgotten(connection, [FacePlace(image.sha256, 640, 480, box)])  # type: ignore[arg-type]
                return len(without_forgotten(connection, [record])[0].faces)

            return database.run(work)

        assert left(at(0.1 * width, -0.1 * height)) == 0
        assert left(at(0.9 * width, 0)) == 1


def test_faces_that_are_nobodys_and_the_persons_go_too_but_not_those_said_to_be_another(
    library: Library,
) -> None:
    add_person(library, "anne", 2, seed=1)
    face = face_of(library, "anne-0-1")
    correcting.move(library.database, [face], "nobody", by=BY)
    summary = forgotten(library)
    assert (summary.faces, summary.loose_faces) == (7, 2)
    assert face_of(library, "anne-0-1") == face
    assert summary.proof.of_others == {"faces that were said to be another": 1}
    assert summary.proof.is_clean


def test_somebody_who_looks_alike_is_told_and_stays(library: Library) -> None:
    faces = [face_of(library, f"both-{n}") for n in range(3)]
    add_person(library, "anne", 2, seed=1)
    twin = [face_of(library, f"anne-1-{n}") for n in range(2)]
    for one in twin:
        correcting.different(library.database, str(face_of(library, "anne-0-0")), str(one), faces=True, by=BY)
    correcting.move(library.database, twin, "new", by=BY)
    naming.name(library.database, str(twin[0]), "Twin", into=False, face=True, by=BY)
    summary = forgotten(library)
    assert summary.proof.of_others["Twin"] >= 1
    assert summary.proof.is_clean
    assert faces


def test_nobody_is_erased_whom_the_person_was_merged_into_meanwhile(library: Library) -> None:
    anne, ben = who_is(library, "anne-0-0"), who_is(library, "ben-0-0")
    correcting.merge(library.database, [anne], ben, drop_names=False, by="anna@home")
    before = faces_by_person(library)
    with pytest.raises(Changed, match="nobody was erased"):
        forget(library.database, anne, exactly=True, work=Work(by="anna@home"))
    assert faces_by_person(library) == before


def test_steps_about_the_person_cannot_be_taken_back_and_all_others_can(library: Library) -> None:
    naming.rename(library.database, "Ben", "Benno", by=BY)
    ben = {step.id: step.what for step in history.log(library.database) if "Ben" in step.what}
    about = [step.id for step in history.log(library.database) if NAME in step.what]
    forgotten(library)
    log = {step.id: step for step in history.log(library.database)}
    assert not any("nne" in step.what for step in log.values())
    for number in about:
        with pytest.raises(WrongUsage, match="about somebody who was forgotten, and what it would"):
            history.undo(library.database, number, by=BY)
    assert history.undo(library.database, by=BY).what == ben[max(ben)]
    assert "Ben" in faces_by_person(library)
    history.redo(library.database, by=BY)
    assert "Benno" in faces_by_person(library)
    grouped = min(log)
    history.undo(library.database, max(ben), by=BY)
    history.undo(library.database, min(ben), by=BY)
    assert history.undo(library.database, grouped, by=BY).kind == "cluster"
    assert faces_by_person(library) == {"-": 10}


def test_a_step_that_took_one_about_the_person_back_tells_nothing_of_them(library: Library) -> None:
    database, anne = library.database, who_is(library, "anne-0-0")
    changes: list[Callable[[], Result]] = [
        lambda: naming.rename(database, NAME, "Anni Zwölfender", by=BY),
        lambda: correcting.different(database, NAME, "Ben", faces=False, by=BY),
        lambda: prototypes(database, pin=[face_of(library, "anne-0-0")], by=BY),
    ]
    for change in changes:
        change()
        history.undo(database, by=BY)
        assert history.log(database, NAME)[0].kind == "undo"
    assert forgotten(library).proof.is_clean
    assert anne not in str(rows(database, "SELECT * FROM step_rows"))


def test_merges_that_were_undone_leave_no_name_with_the_other_person(library: Library) -> None:
    database = library.database
    correcting.merge(database, [NAME], "Ben", drop_names=False, by=BY)
    naming.set_hidden(database, "Ben", hidden=True, by=BY)
    for _ in range(2):
        history.undo(database, by=BY)
    correcting.merge(database, [NAME], "Ben", drop_names=False, by=BY)
    history.undo(database, by=BY)
    history.redo(database, by=BY)
    cluster(library)
    history.undo(database, by=BY)
    cluster(library)
    summary = forgotten(library)
    assert summary.proof.names_left == []
    assert summary.proof.is_clean
    assert "Ben" in faces_by_person(library)
    naming.rename(database, "Ben", "Benno", by=BY)
    assert history.undo(database, by=BY).kind == "rename"


def test_what_somebody_unnamed_was_called_while_they_were_merged_goes(library: Library) -> None:
    database = library.database
    correcting.merge(database, [NAME], who_is(library, "cleo-0-0"), drop_names=False, by=BY)
    naming.set_hidden(database, NAME, hidden=True, by=BY)
    correcting.move(database, [face_of(library, "ben-0-0")], NAME, by=BY)
    for _ in range(3):
        history.undo(database, by=BY)
    assert forgotten(library).proof.is_clean


def test_another_person_whose_name_holds_the_word_keeps_it(library: Library) -> None:
    call(library, "cleo-0-0", f"{NAME} junior")
    summary = forgotten(library)
    assert summary.proof.is_clean
    assert summary.proof.names_of_others
    assert len(people(library.database, status="active", unnamed=False, sort="name")) == 2


def test_what_runs_were_told_stays_where_only_the_programs_words_are_like_the_name(library: Library) -> None:
    naming.rename(library.database, NAME, "Max", by=BY)
    reported = rows(library.database, "SELECT options::text FROM runs ORDER BY id")
    assert any("max_faces" in options for (options,) in reported)
    assert forgotten(library, "Max").proof.is_clean
    assert rows(library.database, "SELECT options::text FROM runs ORDER BY id") == reported


def test_what_runs_were_told_of_the_person_goes(library: Library) -> None:
    reported = '{"target": "/photos/' + NAME + '", "max_faces": 1}'
    rows(library.database, f"UPDATE runs SET options = '{reported}', summary = '{reported}' RETURNING id")
    assert forgotten(library).proof.is_clean
    assert set(rows(library.database, "SELECT options::text, summary::text FROM runs")) == {("{}", None)}


@pytest.mark.parametrize("how", ["hidden", "unnamed"])
def test_somebody_hidden_and_somebody_without_a_name_are_forgotten_too(library: Library, how: str) -> None:
    who = who_is(library, "cleo-0-0")
    if how == "hidden":
        naming.set_hidden(library.database, who, hidden=True, by=BY)
    summary = forgotten(library, who)
    assert (summary.faces, summary.proof.is_clean) == (3, True)
    assert faces_by_person(library) == {NAME: 8, "Ben": 7}


def test_a_vector_that_comes_back_is_found_by_the_proof(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    anne = face_of(library, "anne-0-0")
    (vector,) = rows(library.database, f"SELECT embedding::text FROM face_embeddings WHERE face_id = {anne}")
    nobodys = face_of(library, "cleo-0-0")

    def sabotaged(database: Database) -> Scrubbed:
        def work(connection: Connection) -> None:
            connection.execute("UPDATE face_detections SET person_id = NULL WHERE id = %s", (nobodys,))
            connection.execute(
                "UPDATE face_embeddings SET embedding = %s::vector WHERE face_id = %s", (vector[0], nobodys)
            )

        database.run(work)
        return Scrubbed()

    monkeypatch.setattr("facesets.operations.people.forgetting.forget.scrub", sabotaged)
    proof = forgotten(library).proof
    assert (proof.is_clean, proof.vectors_left) == (False, 1)


def test_whoever_was_merged_into_the_person_is_forgotten_with_them(library: Library) -> None:
    cleo = who_is(library, "cleo-0-0")
    naming.name(library.database, cleo, "Cleopatra", into=False, face=False, by=BY)
    correcting.merge(library.database, ["Cleopatra"], NAME, drop_names=True, by=BY)
    summary = forgotten(library)
    assert (summary.faces, summary.proof.is_clean) == (11, True)
    assert rows(library.database, "SELECT count(*) FROM persons") == [(1,)]
    assert not any("leopatra" in str(row) for row in rows(library.database, "SELECT * FROM step_rows"))


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
    assert [len(faces) for faces in (Cache(cache.path).load().faces,)] == [3]
    assert (summary.caches[0].faces, summary.caches[0].vectors_left, summary.proof.is_clean) == (4, 0, True)


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
    """A server whose files are this test's alone."""
    base = open_directory(in_memory=True)
    # Whoever the server runs as owns its files.
    subprocess.run(["cp", "-a", filled_server / "postgres", base], check=True)
    with running(base) as server:
        yield server
    shutil.rmtree(base, ignore_errors=True)


def wanted_of(library: Library) -> list[bytes]:
    """What no file may hold of Änne any more."""
    vectors = [
        np.array(vector, np.float32).tobytes()
        for (vector,) in rows(
            library.database,
            f"""SELECT embedding::real[] FROM face_embeddings JOIN face_detections f ON f.id = face_id
                WHERE person_id = '{who_is(library, "anne-0-0")}'""",
        )
    ]
    return [*vectors, NAME.encode(), quote(NAME).encode(), NAME.encode("utf-16-le")]


@pytest.fixture
def own_library(own_server: OwnServer) -> Iterator[Library]:
    session = Database(own_server.conninfo)
    yield Library(session)
    session.close()


@pytest.mark.slow
def test_no_file_of_the_server_holds_the_name_or_a_vector_any_more(
    own_server: OwnServer, own_library: Library
) -> None:
    wanted = wanted_of(own_library)
    assert _files_with(own_server, wanted)
    summary = forgotten(own_library)
    assert summary.log_removed
    assert summary.proof.is_clean
    assert _files_with(own_server, wanted) == []
    assert faces_by_person(own_library) == {"Ben": 7, "-": 3}


FORGET = "facesets.operations.people.forgetting"
SCRUBBING = "facesets.store.postgres.people.traces"
MOMENTS = {
    "before anything is erased": (f"{FORGET}.forget.changing", 1),
    "while it is being erased": (f"{FORGET}.forget.note_erased", 1),
    "before tables are rewritten": (f"{FORGET}.finishing.rewrite_tables", 1),
    "while tables are rewritten": (f"{SCRUBBING}._rewritten", 5),
    "before the log is removed": (f"{FORGET}.finishing.remove_old_log", 1),
    "while the log is removed": (f"{SCRUBBING}._current_segment", 1),
    "before the search": (f"{FORGET}.forget.prove", 1),
    "before it is noted as done": (f"{FORGET}.finishing.note_finished", 1),
}


def killed_in(name: str, call: int, conninfo: str, who: str) -> int:
    """Forget somebody in a process that is killed at that call of a function; returns how it ended."""
    calls = 0
    module, _, attribute = name.rpartition(".")
    function = getattr(sys.modules[module], attribute)

    def deadly(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    def work() -> None:
        setattr(sys.modules[module], attribute, deadly)
        forgotten(Library(Database(conninfo)), who)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode or 0


def once_free(library: Library, who: str) -> Result:
    """Forget somebody as soon as the server let go of the lock of who was killed."""
    for _ in range(50):
        try:
            return forgotten(library, who)
        except AlreadyRunning:
            time.sleep(0.1)
    return forgotten(library, who)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_cut_off_is_finished_by_the_same_command(
    own_server: OwnServer, own_library: Library, moment: str
) -> None:
    wanted = wanted_of(own_library)
    # Somebody whom a part of the name means once the other is gone.
    call(own_library, "cleo-0-0", f"{NAME} junior")
    assert killed_in(*MOMENTS[moment], own_server.conninfo, NAME) == -signal.SIGKILL
    summary = once_free(own_library, NAME)
    assert summary.was_cut_off == (moment not in {"before anything is erased", "while it is being erased"})
    assert summary.log_removed
    assert summary.proof.is_clean
    # The other one's name holds this one's, and stays.
    assert _files_with(own_server, wanted[:-3]) == []
    assert faces_by_person(own_library) == {"Ben": 7, f"{NAME} junior": 3}
    assert rows(own_library.database, "SELECT count(*) FROM unfinished_forgetting") == [(0,)]
    assert rows(own_library.database, "SHOW wal_recycle") == [("on",)]


@pytest.mark.slow
def test_check_says_what_was_cut_off_and_finishes_it(own_server: OwnServer, own_library: Library) -> None:
    wanted = wanted_of(own_library)
    moment = MOMENTS["before tables are rewritten"]
    assert killed_in(*moment, own_server.conninfo, NAME) == -signal.SIGKILL
    kept = rows(own_library.database, "SELECT * FROM unfinished_forgetting")
    assert len(kept) == 1
    assert NAME.casefold().encode() not in b"".join(kept[0][1] + kept[0][2])
    assert [problem.count for problem in check(own_library, fix=False).problems] == [1]
    assert _files_with(own_server, wanted)
    check(own_library, fix=True, by=BY)
    assert check(own_library, fix=False).problems == []
    assert _files_with(own_server, wanted) == []
    with pytest.raises(WrongUsage, match="Nobody is called"):
        forgotten(own_library)


def test_a_full_disk_leaves_the_rest_to_the_same_command(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Connection) -> list[str]:
        raise CannotWrite("The disk is full.")

    number = who_is(library, "anne-0-0")
    with monkeypatch.context() as patched:
        patched.setattr(f"{FORGET}.finishing.rewrite_tables", full)
        summary = forgotten(library)
    assert "run the same command again" in summary.out_of_reach[0]
    assert plan_forget(library.database, NAME, [], []).was_cut_off
    assert plan_forget(library.database, number, [], []).was_cut_off
    summary = forgotten(library, number[:8])
    assert (summary.was_cut_off, summary.person, summary.proof.is_clean) == (True, "", True)
    with pytest.raises(WrongUsage, match="Nobody is called"):
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


def _files_with(server: OwnServer, wanted: Sequence[bytes]) -> list[str]:
    files = [path for path in server.endpoint.directory.parent.rglob("*") if path.is_file()]
    held = {str(path): path.read_bytes() for path in files}
    return [path for path, content in held.items() if any(each in content for each in wanted)]


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


@pytest.mark.slow
def test_a_photo_searched_again_in_another_way_does_not_show_the_person(
    empty_database: Database, pack_dir: Path, pristine: Photos, tmp_path: Path
) -> None:
    """Real photos and models: other detection sizes find other boxes."""
    root = tmp_path / "photos"
    root.mkdir()
    for photo in ["two people.png", *(f"Hugo_Chavez_000{n}.jpg" for n in range(1, 6))]:
        shutil.copy2(pristine.photos / photo, root)

    def indexed(det_size: int) -> Library:
        embedder = LocalEmbedder(read_pack(pack_dir), det_size=det_size, min_det_score=0.5)
        seen = Library(empty_database, embedder.settings)
        describer = LocalDescriber(embedder, None)
        index(GallerySource([root]), seen, describer, IndexOptions(), work=Work())
        return seen

    library = indexed(640)
    cluster(library)
    (hugo,) = rows(
        empty_database,
        """SELECT person_id::text FROM face_detections JOIN image_paths p USING (image_id)
            WHERE p.path LIKE '%Hugo_Chavez_0001.jpg'""",
    )
    before = rows(empty_database, "SELECT count(*) FROM face_detections")[0][0]
    summary = forgotten(library, who=str(hugo[0]))
    assert summary.faces + summary.loose_faces >= 5
    for det_size in (320, 512, 960):
        seen = indexed(det_size)
        assert len(seen.load().faces) == before - summary.faces - summary.loose_faces


def test_clusters_of_the_person_go_and_means_that_hold_their_faces_too(library: Library) -> None:
    anne, ben = (who_is(library, f"{name}-0-0") for name in ("anne", "ben"))
    alone, shared = face_of(library, "anne-0-0"), face_of(library, "anne-0-1")

    def group(connection: Connection) -> None:
        connection.execute(
            """INSERT INTO clusters (id, model_id) SELECT c.name, min(m.id) FROM models m,
                unnest(ARRAY['clu_1', 'clu_2', 'clu_3']) AS c (name) GROUP BY 1"""
        )
        connection.execute("UPDATE face_detections SET cluster = 'clu_3' WHERE person_id = %s", (ben,))
        connection.execute("UPDATE face_detections SET cluster = 'clu_2' WHERE person_id = %s", (anne,))
        connection.execute("UPDATE face_detections SET cluster = 'clu_1' WHERE id = %s", (alone,))
        connection.execute("UPDATE face_detections SET cluster = 'clu_3' WHERE id = %s", (shared,))
        connection.execute(
            """INSERT INTO cluster_centers (cluster_id, faces, fingerprint, centroid)
                SELECT c.id, 1, 0, e.embedding FROM clusters c, face_embeddings e WHERE e.face_id = %s""",
            (alone,),
        )

    library.database.run(group)
    assert forgotten(library).proof.is_clean
    left = rows(library.database, "SELECT id FROM clusters WHERE id IN ('clu_1', 'clu_2', 'clu_3')")
    assert left == [("clu_3",)]
    assert (
        rows(library.database, "SELECT cluster_id FROM cluster_centers WHERE cluster_id LIKE 'clu__'") == []
    )


def test_a_kept_hierarchy_goes_on_without_the_person(empty_database: Database) -> None:
    library = Library(empty_database)
    for name in ("anne", "ben", "cleo"):
        add_person(library, name, 6)
    cluster(library, method="hdbscan")
    call(library, "anne-0-0", NAME)
    (run,) = rows(empty_database, "SELECT id, faces FROM hdbscan_runs")
    ben, bens = (
        rows(empty_database, f"SELECT {what} FROM face_detections WHERE id = {face_of(library, 'ben-0-0')}")
        for what in ("person_id", "cluster")
    )
    hers = [face_of(library, f"anne-0-{number}") for number in range(6)]
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
    new = face_of(library, "ben-1-0")
    assert rows(empty_database, f"SELECT person_id FROM face_detections WHERE id = {new}") == ben
    assert rows(empty_database, f"SELECT cluster FROM face_detections WHERE id = {new}") == bens
    assert who_is(library, "anne-1-0") == ""
    assert summary.new_persons == 0


@pytest.mark.slow
def test_faces_that_are_being_written_meanwhile_are_waited_for(
    library: Library, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes has read what is never to come back, and would bring it."""
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

    monkeypatch.setattr("facesets.operations.people.forgetting.forget.scrub", scrub)
    writer = threading.Thread(target=other.run, args=(write,))
    writer.start()
    assert reading.wait(PATIENCE_S)
    forgotten(library)
    writer.join()
    other.close()
    assert waited == [True]


def test_bodies_of_somebody_who_is_forgotten_go_with_the_faces(empty_database: Database) -> None:
    library = Library(empty_database)
    for i in range(3):
        image = made_image(f"anne{i}", 1)
        vector = unit(heart_of("anne") + np.random.default_rng(i).standard_normal(512) * 0.02)
        image = replace(image, faces=replace(image.faces, embedding=vector[None]))
        body = PhotoBodies(
            box=np.array([[0, 0, 640, 480], [0, 0, 20, 20]], np.float32),
            score=np.full(2, 0.9, np.float32),
            face=np.array([0, -1]),
            face_box=np.full((2, 4), np.nan, np.float32),
            face_score=np.full(2, np.nan, np.float32),
            colours=np.ones((2, COLOURS), np.uint8),
        )
        with library.writing(SETTINGS):
            image = image.with_finding("bodies", Finding("a model", body))
            library.commit([made_file(f"/anne{i}.jpg", image)], [image])
    cluster(library)
    call(library, "anne0", NAME)
    assert rows(empty_database, "SELECT count(*), count(face_id) FROM bodies") == [(6, 3)]
    forgotten(library)
    assert rows(empty_database, "SELECT count(*), count(face_id) FROM bodies") == [(3, 0)]


def test_the_name_goes_from_what_files_say_of_photos_and_all_else_of_that_stays(library: Library) -> None:
    said = PhotoMetadata(
        taken_text=f"2019-07-04 {NAME}",
        refused={"DateTime": f"{NAME} is no date", "GPSAltitude": "is no number"},
        extra={"dc:subject": ["beach", NAME], "lr:hierarchicalSubject": [f"People|{NAME}"], "Flash": 16},
    )
    image = with_metadata(together("both-0"), said)
    with library.writing(SETTINGS):
        library.commit([made_file("/both-0.jpg", image)], [image])
    assert forgotten(library).proof.is_clean
    assert rows(
        library.database,
        "SELECT taken_text, refused, extra FROM photo_metadata JOIN photo_extra USING (image_id)",
    ) == [("", {"GPSAltitude": "is no number"}, {"Flash": 16})]


def test_tags_cameras_and_models_that_are_called_like_the_person_are_not_theirs(library: Library) -> None:
    naming.name(library.database, who_is(library, "cleo-0-0"), "Claude Dawn", into=False, face=False, by=BY)
    statements: tuple[LiteralString, ...] = (
        "INSERT INTO cameras (make, model, lens) VALUES ('Claude Dawn', '', '')",
        "INSERT INTO stage_versions (stage, version) VALUES ('scene', 'clip; claude dawn 1234')",
        """INSERT INTO tag_categories (name, target, selection_mode, min_confidence, templates, none_prompts)
            VALUES ('time', 'scene', 'single', 0, '{}', '{claude dawn}')""",
        """INSERT INTO tags (category_id, place, name, phrases)
            SELECT id, 0, 'Claude Dawn', '{claude dawn}' FROM tag_categories""",
        """INSERT INTO description_jobs (key, provider, place, model, prompt, is_batch, status)
            VALUES ('k', 'anthropic', '', 'claude dawn', '', true, 'ended')""",
    )

    def insert(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    library.database.run(insert)
    proof = forgotten(library, "Claude Dawn").proof
    assert (proof.is_clean, proof.names_left) == (True, [])
    assert {place.partition(".")[0] for place in proof.names_of_others} == {
        *("cameras", "stage_versions", "tag_categories", "tags", "description_jobs")
    }
