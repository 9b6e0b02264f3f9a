"""Pushing people to a server: the plan, the owner's decisions, and undo."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.immich_people import PUSH_PERMISSIONS, PeopleServer
from tests.fixtures.immich_server import KEY, error, photo_id, running
from tests.fixtures.pushing import PLACES, Scene, by_name, push, undo
from tests.fixtures.recording_progress import RecordingProgress

from facesets.errors import AlreadyRunning, WrongUsage
from facesets.files import FileLock

pytestmark = pytest.mark.slow

VERSIONS = [(2, 2, 0), (3, 2, 1), (3, 3, 5)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running(PeopleServer()) as server:
        yield Scene(server, tmp_path)


def family(scene: Scene) -> None:
    """Three people: the server knows the first, has the second in two halves, and the third not at all."""
    server = scene.server
    anna = server.add_person("Anna", birth_date="1980-02-03")
    half, other_half = server.add_person(), server.add_person(birth_date="1990-01-01", is_favorite=True)
    scene.several(range(1, 5), "Anna", anna)
    scene.several(range(5, 10), "Ben", half)
    scene.several(range(10, 14), "Ben", other_half)
    scene.both(14, "Cleo", None)
    asset = scene.photo(15)
    server.add_face(asset, PLACES[0], anna)
    scene.ours(asset, "Anna", 0)
    scene.ours(asset, "Cleo", 1)
    scene.stage()


def test_names_faces_and_merges_arrive_and_a_second_push_plans_nothing(scene: Scene) -> None:
    family(scene)
    plan = by_name(push(scene, apply=False))
    assert [(p.action, p.in_place, p.give, p.add, len(p.merge)) for p in plan.values()] == [
        ("keep", 5, 0, 0, 0),
        ("name", 5, 0, 0, 1),
        ("create", 0, 1, 1, 0),
    ]
    assert scene.server.writes == []

    done = push(scene)
    assert done.failed == 0
    assert done.made == {
        "create_person": 1,
        "name_person": 1,
        "give_face": 1,
        "create_face": 1,
        "merge_person": 1,
    }
    faces = Counter(scene.server.holder(face.id) for face in scene.server.faces)
    assert faces == {"Anna": 5, "Ben": 9, "Cleo": 2}
    assert sorted(person.name for person in scene.server.people.values()) == ["Anna", "Ben", "Cleo"]

    scene.server.requests.clear()
    again = push(scene)
    assert (again.changes, again.applied) == (0, False)
    assert scene.server.writes == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_undo_restores_even_merged_people(scene: Scene, version: tuple[int, int, int]) -> None:
    scene.server.version = version
    family(scene)
    before = scene.server.snapshot()
    run = push(scene).run
    merges = [request.path for request in scene.server.writes if request.path.endswith("merge")]
    assert len(merges) == 1
    assert (merges[0] == "/api/people/merge") == (version >= (3, 2, 1))
    assert scene.server.snapshot() != before
    assert undo(scene, dry_run=True).applied is False
    taken = undo(scene, run)
    assert (taken.failed, taken.left) == (0, {})
    assert scene.server.snapshot() == before
    with pytest.raises(WrongUsage, match="no run of immich-push to undo"):
        undo(scene)
    with pytest.raises(WrongUsage, match="The latest runs are: "):
        push(scene, when="second")
        undo(scene, "first")
    undo(scene)
    # And it can be pushed again.
    assert push(scene, when="later").changes == 5
    assert push(scene).changes == 0


def test_an_undo_works_after_the_server_removed_people_without_faces(scene: Scene) -> None:
    nameless = scene.server.add_person()
    scene.both(1, "Anna", nameless)
    before = scene.server.snapshot()
    assert push(scene).made == {"create_person": 1, "give_face": 1}
    scene.server.sweep_people()
    assert nameless not in scene.server.people
    undo(scene)
    assert scene.server.snapshot() == before


def test_later_changes_on_the_server_survive_an_undo(scene: Scene) -> None:
    family(scene)
    push(scene)
    server = scene.server
    ben = next(person for person in server.people.values() if person.name == "Ben")
    ben.name = "Benjamin"
    moved = next(face for face in server.faces if face.person == ben.id)
    moved.person = server.add_person("Dora")
    undo(scene)
    assert server.holder(moved.id) == "Dora"
    assert "Benjamin" in [person.name for person in server.people.values()]


def test_without_the_permission_to_remove_people_an_undo_reports_what_it_leaves(scene: Scene) -> None:
    scene.both(1, "Anna", None)
    before = scene.server.snapshot()
    progress = RecordingProgress()
    scene.server.permissions = [name for name in PUSH_PERMISSIONS if name != "person.delete"]
    push(scene, progress=progress)
    assert any("person.delete" in line for line in progress.lines)
    left = undo(scene).left
    assert sum(left.values()) == 2
    scene.server.permissions = list(PUSH_PERMISSIONS)
    assert undo(scene).left == {}
    assert scene.server.snapshot() == before


@pytest.mark.parametrize(
    ("theirs", "option", "reason"),
    [
        ({"name": "Robert"}, {"rename": True}, "Robert on the server"),
        ({"is_hidden": True}, {"hidden": True}, "a hidden person on the server"),
    ],
)
def test_decisions_on_the_server_stay_and_are_reported_unless_ours_take_precedence(
    scene: Scene, theirs: dict[str, Any], option: dict[str, Any], reason: str
) -> None:
    person = scene.server.add_person(**theirs)
    scene.several(range(1, 5), "Bob", person)
    unchanged = push(scene)
    assert by_name(unchanged)["Bob"].left == {reason: 4}
    # No person remains to be created: one without faces is of no use.
    assert unchanged.changes == 0
    assert scene.server.writes == []
    assert by_name(push(scene, **option))["Bob"].action == "name"
    assert scene.server.people[person].name == "Bob"
    assert scene.server.people[person].is_hidden == theirs.get("is_hidden", False)


@pytest.mark.parametrize(
    ("ours", "strangers", "unknown"),
    [(3, 3, 0), (2, 0, 0), (3, 0, 10)],
    ids=["others are on it too", "we know few faces of it", "we know few of its photos"],
)
def test_a_person_with_other_faces_is_not_named_but_our_faces_are_assigned(
    scene: Scene, ours: int, strangers: int, unknown: int
) -> None:
    server = scene.server
    mixed = server.add_person()
    faces = scene.several(range(ours), "Anna", mixed)
    others = scene.several(range(10, 10 + strangers), "?", mixed)
    others += [server.add_face(scene.photo(20 + n), PLACES[0], mixed) for n in range(unknown)]
    plan = by_name(push(scene))["Anna"]
    assert (plan.action, plan.give) == ("create", ours)
    assert [server.holder(face) for face in faces] == ["Anna"] * ours
    assert [server.holder(face) for face in others] == [""] * (strangers + unknown)
    assert push(scene).changes == 0


def test_people_on_one_photo_are_never_merged(scene: Scene) -> None:
    server = scene.server
    twin, other = server.add_person("Anna"), server.add_person()
    scene.several(range(1, 5), "Anna", twin)
    scene.several(range(5, 9), "Anna", other)
    together = scene.photo(9)
    server.add_face(together, PLACES[0], twin)
    server.add_face(together, PLACES[1], other)
    assert by_name(push(scene))["Anna"].merge == []
    assert other in server.people
    assert {face.person for face in server.faces if face.asset == together} == {twin, other}


def test_a_person_with_few_known_photos_is_not_merged(scene: Scene) -> None:
    server = scene.server
    anna, large = server.add_person("Anna"), server.add_person()
    scene.several(range(1, 4), "Anna", anna)
    scene.several(range(11, 14), "Anna", large)
    for number in range(20, 30):
        server.add_face(scene.photo(number), PLACES[0], large)
    plan = by_name(push(scene))["Anna"]
    assert (plan.merge, plan.give) == ([], 3)
    assert len([face for face in server.faces if face.person == large]) == 10


def test_people_with_names_equal_but_for_case_and_spacing_become_one(scene: Scene) -> None:
    first, second = scene.server.add_person("anna  MARIA"), scene.server.add_person("anna maria")
    scene.several(range(1, 4), "Anna Maria", first)
    scene.both(9, "Anna Maria", second)
    plan = by_name(push(scene))["Anna Maria"]
    assert (plan.action, [merge.name for merge in plan.merge]) == ("keep", ["anna maria"])
    assert list(scene.server.people) == [first]


def test_no_person_gets_two_faces_on_one_photo(scene: Scene) -> None:
    anna = scene.server.add_person("Anna")
    asset = scene.photo(1)
    scene.server.add_face(asset, (0, 300, 300, 700), anna)
    scene.server.add_face(asset, PLACES[1])
    for place in (0, 1, 2):
        scene.ours(asset, "Anna", place)
    plan = by_name(push(scene))["Anna"]
    assert (plan.give, plan.add, plan.left) == (0, 0, {"already in that photo": 3})
    assert scene.server.writes == []


def test_a_face_that_cannot_leave_keeps_its_person_from_a_second_face(scene: Scene) -> None:
    server = scene.server
    anna, ben = server.add_person("Anna"), server.add_person("Ben")
    asset = scene.photo(1)
    server.add_face(asset, (0, 300, 300, 700), anna)
    stays, free = server.add_face(asset, PLACES[0], ben), server.add_face(asset, PLACES[1])
    scene.ours(asset, "Anna", 0)
    scene.ours(asset, "Ben", 1)
    plan = by_name(push(scene, rename=True))
    assert [plan[name].left for name in ("Anna", "Ben")] == [{"already in that photo": 1}] * 2
    assert (server.holder(stays), server.holder(free)) == ("Ben", "-")


def test_faces_that_the_server_mixed_up_within_a_photo_change_places(scene: Scene) -> None:
    server = scene.server
    anna, ben = server.add_person("Anna"), server.add_person("Ben")
    asset = scene.photo(1)
    faces = [server.add_face(asset, PLACES[0], ben), server.add_face(asset, PLACES[1], anna)]
    scene.ours(asset, "Anna", 0)
    scene.ours(asset, "Ben", 1)
    before = server.snapshot()
    assert push(scene).changes == 0
    push(scene, rename=True)
    assert [server.holder(face) for face in faces] == ["Anna", "Ben"]
    undo(scene)
    assert server.snapshot() == before


def test_corrections_after_a_push_follow_with_the_next(scene: Scene) -> None:
    face = scene.both(1, "Anna", None)
    push(scene)
    scene.names[0] = "Anna Maria"
    push(scene, when="second")
    assert scene.server.holder(face) == "Anna Maria"
    assert len(scene.server.people) == 1
    scene.names.append("Ben")
    scene.seen = {asset: [(0, 1)] for asset in scene.seen}
    push(scene, when="third")
    assert scene.server.holder(face) == "Ben"


def test_names_arrive_as_they_are(scene: Scene) -> None:
    names = ["Ł" * 50, "a/../b", "50%", 'O\'Brien "x"', "<b>&", "名前", "Zoë 🙂"]
    faces = [scene.both(number, name, None) for number, name in enumerate(names)]
    push(scene)
    assert [scene.server.holder(face) for face in faces] == names
    assert push(scene).changes == 0


def test_a_photo_that_was_edited_on_the_server_is_skipped(scene: Scene) -> None:
    scene.ours(scene.photo(1, is_edited=True), "Anna")
    cropped = scene.photo(2)
    scene.ours(cropped, "Anna")
    scene.server.add_face(cropped, PLACES[0])
    scene.server.faces[-1].preview = (1000, 1000)
    # Staged by a face, each.
    scene.server.add_face(scene.server.photos[0].id, PLACES[0])
    summary = push(scene)
    assert (summary.differing, summary.changes) == (2, 0)


def test_every_copy_of_a_photo_gets_its_people_and_missing_photos_are_counted(scene: Scene) -> None:
    face = scene.both(1, "Anna", None)
    copy = scene.photo(2, content=scene.server.photos[0].content)
    other = scene.server.add_face(copy, PLACES[0])
    scene.both(3, "Anna", None)
    scene.stage()
    scene.server.photos.pop()
    summary = push(scene)
    assert (summary.vanished, summary.made["give_face"]) == (1, 2)
    assert [scene.server.holder(each) for each in (face, other)] == ["Anna", "Anna"]


def test_missing_permissions_are_named_before_anything_is_read(scene: Scene) -> None:
    family(scene)
    scene.server.permissions = ["asset.read", "face.read", "user.read"]
    with pytest.raises(WrongUsage, match=r"person\.create, person\.update, person\.merge"):
        push(scene)


def test_an_unstaged_folder_and_another_accounts_are_refused(scene: Scene) -> None:
    with pytest.raises(WrongUsage, match="Nothing was staged"):
        push(scene, stage_first=False)
    family(scene)
    state = scene.out / "ana" / "state.json"
    state.write_text(state.read_text().replace("00000000000a", "00000000000b"))
    with pytest.raises(WrongUsage, match="another account"):
        push(scene)


def test_only_one_run_at_a_time_works_on_a_folder(scene: Scene) -> None:
    family(scene)
    with FileLock(scene.out / "ana" / "push.lock", what="it"):
        with pytest.raises(AlreadyRunning):
            push(scene)
        assert push(scene, dry_run=True).changes == 5


def test_the_journal_records_each_change_before_its_request_and_holds_no_key(scene: Scene) -> None:
    family(scene)
    asked: list[int] = []
    journal = scene.out / "ana" / "push" / "run.jsonl"

    def look(request: object) -> None:
        if request in scene.server.writes:
            records = [json.loads(line) for line in journal.read_text().splitlines()]
            intents = {r["change"] for r in records if "intent" in r}
            outcomes = {r["change"] for r in records if "outcome" in r}
            asked.append(len(intents - outcomes))

    scene.server.gates = [look]
    push(scene)
    assert len(asked) == 5
    assert min(asked) >= 1
    assert KEY not in journal.read_text()


def partners(scene: Scene) -> str:
    """Anna on a photo of one's own, and on two of a partner: with and without a face by the server."""
    face = scene.both(1, "Anna", None)
    for number in (2, 3):
        asset = scene.photo(number, owner=photo_id(50))
        scene.ours(asset, "Anna")
    scene.server.add_face(scene.server.photos[1].id, PLACES[0])
    scene.server.add_face(scene.server.photos[2].id, PLACES[2])
    scene.stage(partners=True)
    return face


def test_photos_of_a_partner_are_never_written_to(scene: Scene) -> None:
    face = partners(scene)
    done = push(scene)
    assert (done.failed, done.of_others, done.changes) == (0, 2, 2)
    assert scene.server.holder(face) == "Anna"
    own = photo_id(1)
    assert {change.body.get("assetId", own) for change in scene.server.writes} == {own}
    assert len(scene.server.faces) == 3
    again = push(scene, when="second")
    assert (again.changes, again.failed) == (0, 0)
    assert [path.name for path in (scene.out / "ana/push").iterdir()] == ["run.jsonl"]


def test_a_person_only_on_photos_of_a_partner_is_not_created(scene: Scene) -> None:
    scene.both(1, "?", None)
    scene.ours(scene.photo(2, owner=photo_id(50)), "Anna")
    scene.server.add_face(photo_id(2), PLACES[0])
    scene.stage(partners=True)
    summary = push(scene)
    assert (summary.changes, summary.applied, scene.server.writes) == (0, False, [])


def test_nothing_is_written_while_the_owner_of_photos_is_unknown(scene: Scene) -> None:
    partners(scene)
    scene.server.permissions.remove("user.read")
    with pytest.raises(WrongUsage, match=r"user\.read"):
        push(scene)
    assert scene.server.writes == []


def test_a_run_that_changed_nothing_cannot_be_undone(scene: Scene) -> None:
    scene.both(1, "Anna", scene.server.add_person("Anna"))
    face = scene.both(2, "Anna", None)
    push(scene, when="first")
    assert scene.server.holder(face) == "Anna"
    scene.both(3, "Anna", None)
    scene.stage()
    scene.server.gates.append(lambda request: error(400) if request in scene.server.writes else None)
    failed = push(scene, when="second")
    assert (failed.failed, failed.run) == (1, "")
    assert failed.failures[0][0] == "/data/library/ana/2024/IMG_00003.jpg"
    scene.server.gates.clear()
    assert undo(scene).run == "first"
    assert scene.server.holder(face) == "-"


def test_a_run_is_undone_once(scene: Scene) -> None:
    family(scene)
    push(scene, when="first")
    undo(scene, "first")
    push(scene, when="second")
    after = scene.server.snapshot()
    with pytest.raises(WrongUsage, match="already undone"):
        undo(scene, "first")
    assert scene.server.snapshot() == after
    undo(scene)
    assert sorted(person.name for person in scene.server.people.values()) == ["", "", "Anna"]


def test_a_partial_undo_is_not_repeated_on_a_later_run(scene: Scene) -> None:
    nameless = scene.server.add_person()
    scene.several(range(1, 6), "Ben", nameless)
    face = scene.both(6, "Cleo", nameless, place=1)
    push(scene, when="first")
    scene.server.permissions.remove("person.delete")
    left = undo(scene, "first")
    assert sum(left.left.values()) > 0
    assert (scene.server.holder(face), scene.server.people[nameless].name) == ("", "")
    push(scene, when="second")
    assert (scene.server.holder(face), scene.server.people[nameless].name) == ("Cleo", "Ben")
    undo(scene, "first")
    assert (scene.server.holder(face), scene.server.people[nameless].name) == ("Cleo", "Ben")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("ANN VENEMAN", "Ann Veneman"),
        ("A\u030asa  O\u0308berg", "\u00c5sa \u00d6berg"),
        ("\u00c5SA \u00d6BERG", "A\u030asa O\u0308berg"),
        ("STRAUSS", "Strau\u00df"),
    ],
)
def test_people_only_on_archived_photos_are_found_in_any_spelling(
    theirs: str, ours: str, scene: Scene
) -> None:
    person = scene.server.add_person(theirs)
    scene.server.add_face(scene.photo(1, visibility="archive"), PLACES[0], person)
    face = scene.both(2, ours, None)
    push(scene)
    assert list(scene.server.people) == [person]
    assert scene.server.holder(face) == theirs


def test_names_that_differ_only_in_case_are_one_person_on_the_server(scene: Scene) -> None:
    scene.several((1, 2), "Anna", None)
    scene.both(3, "anna", None)
    for when in ("first", "second"):
        plan = by_name(push(scene, when=when))
        [reason] = plan["anna"].left
        assert "has this name" in reason
    assert [person.name for person in scene.server.people.values()] == ["Anna"]


def test_faces_are_added_to_photos_in_which_the_server_found_none(scene: Scene) -> None:
    asset = scene.photo(1)
    scene.ours(asset, "Anna")
    assert push(scene).photos == 0
    scene.stage(faceless=True)
    assert push(scene).made == {"create_person": 1, "create_face": 1}
    [face] = scene.server.faces
    assert (face.asset, face.preview) == (asset, (4000, 3000))
    undo(scene)
    assert (scene.server.faces, scene.server.people) == ([], {})
