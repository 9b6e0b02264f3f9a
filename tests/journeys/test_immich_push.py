"""From the library's people to an Immich server and back, through the real command."""

import hashlib
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from tests.fixtures.immich_people import PeopleServer
from tests.fixtures.immich_server import KEY, photo, running
from tests.fixtures.made_faces import SETTINGS, made_faces, made_file, made_image
from tests.fixtures.program import Result, run
from tests.fixtures.staging import stage, tree
from tests.fixtures.terminal import Terminal

from facesets.operations.immich.push_journal import new_journal
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]

NUMBERS = range(1, 5)


@pytest.fixture
def immich(database: Database, tmp_path: Path) -> Iterator[PeopleServer]:
    """A server with four photos of a nameless person, who is Anna in the library."""
    with running(PeopleServer([photo(number) for number in NUMBERS])) as immich:
        nameless = immich.add_person()
        for each in immich.photos:
            immich.add_face(each.id, (100, 100, 250, 250), nameless)
        stage(immich, tmp_path / "out")
        fill(Library(database), immich)
        yield immich


def fill(library: Library, immich: PeopleServer) -> None:
    box = np.array([[410, 405, 1002, 998]], np.float32)
    records = [
        replace(
            made_image(each.id),
            sha256=hashlib.sha256(each.content).hexdigest(),
            width=4000,
            height=3000,
            faces=replace(made_faces(1, seed), box=box),
        )
        for seed, each in enumerate(immich.photos)
    ]
    with library.writing(SETTINGS):
        library.commit([made_file(f"/{n}.jpg", image) for n, image in enumerate(records)], records)
    library.database.run(name_all)


def name_all(connection: Connection) -> None:
    anna = UUID(int=7)
    connection.execute("INSERT INTO persons (id) VALUES (%s)", (anna,))
    connection.execute(
        "INSERT INTO person_names (person_id, name) VALUES (%s, 'Anna'), (%s, 'Nan')", (anna,) * 2
    )
    connection.execute("UPDATE face_detections SET person_id = %s", (anna,))


def push(immich: PeopleServer, url: str, tmp_path: Path, *more: object) -> Result:
    flags = (*(("--database", url) if url else ()), "--backoff", "0.01", "--patience", "0")
    env = {"IMMICH_URL": immich.url, "IMMICH_API_KEY": KEY}
    return run("immich-push", tmp_path / "out/ana", *flags, *more, env=env)


def names(immich: PeopleServer) -> list[str]:
    return sorted(person.name for person in immich.people.values())


def test_the_plan_is_shown_then_carried_out_then_undone(
    immich: PeopleServer, library_url: str, tmp_path: Path
) -> None:
    shown = push(immich, library_url, tmp_path)
    assert (shown.status, names(immich)) == (0, [""])
    assert "Anna: name an unnamed person; 4 faces in place" in shown.out
    assert "Nothing was changed. Add --apply" in shown.out

    done = push(immich, library_url, tmp_path, "--apply", "--json")
    assert (done.status, names(immich)) == (0, ["Anna"]), done.err
    run_name = json.loads(done.out)["run"]

    again = push(immich, library_url, tmp_path, "--apply")
    assert "Nothing to change." in again.out

    back = push(immich, library_url, tmp_path, "--undo", run_name, "--apply")
    assert (back.status, names(immich)) == (0, [""])
    assert "Undone: 1 person named." in back.out
    assert KEY not in "".join([*(r.out + r.err for r in (shown, done, again, back))])
    assert all(KEY.encode() not in content for content in tree(tmp_path / "out").values())


def test_on_a_terminal_it_asks_and_only_a_yes_changes_anything(
    immich: PeopleServer, library_url: str, tmp_path: Path
) -> None:
    for answer, name in (("\n", ""), ("n\n", ""), ("y\n", "Anna")):
        with asked(immich, library_url, tmp_path) as screen:
            screen.press(answer)
            assert screen.end() == 0
        assert names(immich) == [name]


def test_ending_at_the_question_agrees_to_nothing(
    immich: PeopleServer, library_url: str, tmp_path: Path
) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with asked(immich, library_url, tmp_path) as screen:
            screen.send(number)
            screen.expect("Nothing was changed: the run was stopped at the question")
            assert screen.end() == 128 + number
        assert names(immich) == [""]


@contextmanager
def asked(immich: PeopleServer, library_url: str, folder: Path) -> Iterator[Terminal]:
    """A push on a terminal that asks whether to go on."""
    words = ("immich-push", folder / "out/ana", "--database", library_url, "--url", immich.url)
    with Terminal(*words, env={"IMMICH_API_KEY": KEY}) as screen:
        screen.expect("Anna: name an unnamed person")
        screen.expect(r"Apply these changes to the server\? \[y/N\]: ")
        yield screen


def test_a_name_with_control_characters_is_left_out_and_reported(
    immich: PeopleServer, database: Database, library_url: str, tmp_path: Path
) -> None:
    database.run(lambda c: c.execute("UPDATE person_names SET name = E'An\\x1bna' WHERE name = 'Anna'"))
    result = push(immich, library_url, tmp_path, "--apply")
    assert "Names that the server cannot store: An\\x1bna." in result.out
    assert names(immich) == [""]


def test_a_folder_that_was_given_a_name_names_its_person_on_the_server(
    lfw_dir: Path, pack_dir: Path, tmp_path: Path
) -> None:
    folders = sorted(lfw_dir.iterdir(), key=lambda folder: -len(list(folder.glob("*.jpg"))))[:2]
    paths = [path for folder in folders for path in sorted(folder.glob("*.jpg"))[:4]]
    with running(PeopleServer()) as server:
        for number, path in enumerate(paths, start=1):
            server.photos.append(photo(number, content=path.read_bytes(), width=250, height=250))
            server.add_face(server.photos[-1].id, (65, 65, 185, 190))
            server.faces[-1].preview = (250, 250)
        stage(server, tmp_path / "out")
        cache, raw = tmp_path / "faces.npz", tmp_path / "raw"
        embed = ("embed", "--queue", tmp_path / "out/ana/queue.json", cache, "--pack", pack_dir)
        assert run(*embed, "--provider", "cpu").status == 0
        assert run("cluster", cache, raw).status == 0
        first = json.loads((raw / "manifest.json").read_text())["persons"][0]
        (raw / first["name"]).rename(raw / "Zoë Müller")
        pushed = push(server, "", tmp_path, "--people", raw, "--cache", cache, "--apply", "--json")
        assert pushed.status == 0, pushed.err
        assert names(server) == ["Zoë Müller"]
        assert json.loads(pushed.out)["made"]["give_face"] == len(first["faces"])
        again = push(server, "", tmp_path, "--people", raw, "--cache", cache, "--apply")
        assert "Nothing to change." in again.out
        assert push(server, "", tmp_path, "--people", raw).status == 2


def test_runs_that_begin_in_one_second_have_journals_of_their_own(tmp_path: Path) -> None:
    first = new_journal(tmp_path, "now", "ana")
    first.path.parent.mkdir()
    first.path.touch()
    assert first.path != new_journal(tmp_path, "now", "ana").path
