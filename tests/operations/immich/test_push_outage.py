"""Writing people back to a server that fails, by a program that is killed: it ends as if undisturbed."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.fixtures.immich_people import PeopleServer, Snapshot
from tests.fixtures.immich_server import Request, error, killed, running, serving
from tests.fixtures.pushing import PLACES, Scene, push, undo
from tests.fixtures.soak import soaking

from facesets.cli.wording import worded
from facesets.errors import Unreachable, WrongUsage
from facesets.work import Stop

pytestmark = pytest.mark.slow

WRITES = 7
"""Arguments to push the scene."""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running(PeopleServer()) as server:
        yield filled(Scene(server, tmp_path))


def filled(scene: Scene) -> Scene:
    """One person to name, one to make with given and added faces, and one to merge into another."""
    server = scene.server
    half, other_half = server.add_person(), server.add_person(birth_date="1990-01-01")
    scene.several(range(1, 5), "Ben", half)
    scene.several(range(5, 8), "Ben", other_half)
    scene.both(8, "Cleo", None)
    scene.both(9, "Cleo", half, place=1)
    for number in (10, 11):
        asset = scene.photo(number)
        server.add_face(asset, PLACES[0])
        scene.ours(asset, "Cleo", 2)
    scene.stage()
    server.requests.clear()
    return scene


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, Snapshot]:
    """The same library before and after a push without faults."""
    with running(PeopleServer()) as server:
        scene = filled(Scene(server, tmp_path_factory.mktemp("calm")))
        before = server.snapshot()
        push(scene)
        assert len(server.writes) == WRITES
        return before, server.snapshot()


def writing(request: Request) -> bool:
    return request.method != "GET" and "/search/" not in request.path


class Nth:
    """Whether a request is the n-th that changes something."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, request: Request) -> bool:
        self.left -= writing(request)
        return writing(request) and self.left == 0


def lost(scene: Scene, number: int, *, of_answer: bool) -> None:
    """A lost request or answer has no effect on the result."""
    is_lost, nothing = Nth(number), replace(error(503), drop=True)
    if of_answer:
        scene.server.rules.append(lambda request, _: nothing if is_lost(request) else None)
    else:
        scene.server.gates.append(lambda request: nothing if is_lost(request) else None)
    assert push(scene).failed == 0
    assert is_lost.left <= 0


def outage(scene: Scene, number: int) -> None:
    """Push to a server that fails after a number of requests, from none to almost all of them."""
    limit = 7 * (number - 1)
    scene.server.gates.append(lambda _: error(503) if len(scene.server.requests) > limit else None)
    with suppress(Unreachable):
        assert push(scene).failed > 0


def ctrl_c(scene: Scene, number: int) -> None:
    stop, is_stopped = Stop(), Nth(min(number, 3))
    scene.server.gates.append(lambda request: stop.request() if is_stopped(request) else None)
    assert push(scene, stop=stop).stopped


def refusal(scene: Scene, _: int) -> None:
    """Changes that the server does not want cost themselves only."""
    scene.server.gates.append(lambda r: error(400) if (r.method, r.path) == ("POST", "/api/faces") else None)
    summary = push(scene)
    assert summary.failed == 2
    assert {reason for _, reason in summary.failures} == {"the server rejected the request (400)"}


def death(scene: Scene, number: int, *, before_effect: bool) -> None:
    assert killed(scene.server, lambda: push(scene), Nth(number), before_effect=before_effect)


FAULTS: dict[str, tuple[Callable[[Scene, int], None], Sequence[int]]] = {
    "a lost request": (partial(lost, of_answer=False), (3, 7)),
    "a lost answer": (partial(lost, of_answer=True), (1, 5)),
    "a kill before a change": (partial(death, before_effect=True), (2, 5)),
    "a kill after a change": (partial(death, before_effect=False), (1, 7)),
    "Ctrl-C": (ctrl_c, (3,)),
    "an outage": (outage, (1, 4, 7)),
    "a refusal": (refusal, (1,)),
}
"""The fault, and the changes at which it occurs outside `scripts/soak`."""


@pytest.mark.soak
@pytest.mark.parametrize(("fault", "numbers"), FAULTS.values(), ids=FAULTS)
def test_the_next_push_completes_an_unfinished_one_and_both_can_be_undone(
    fault: Callable[[Scene, int], None],
    numbers: Sequence[int],
    undisturbed: tuple[Snapshot, Snapshot],
    tmp_path: Path,
) -> None:
    before, after = undisturbed
    for number in soaking(range(1, WRITES + 1), else_=numbers):
        with running(PeopleServer()) as server:
            scene = filled(Scene(server, tmp_path / str(number)))
            fault(scene, number)
            server.gates.clear()
            server.rules.clear()
            push(scene, when="run-2")
            assert server.snapshot() == after, number
            assert push(scene).changes == 0
            runs = [path.name for path in (scene.out / "ana" / "push").glob("*.jsonl")]
            # The run that was cut off and the one that ended it are one.
            assert runs == ["run.jsonl"] or fault in (outage, refusal)
            for _ in runs:
                undo(scene)
            assert server.snapshot() == before, number


@pytest.mark.soak
@pytest.mark.parametrize("before_effect", [True, False])
def test_a_killed_undo_is_completed_by_the_next(before_effect: bool, tmp_path: Path) -> None:
    number, comes_so_far = 1 if soaking(True, else_=before_effect) else 4, True
    while comes_so_far:
        with running(PeopleServer()) as server:
            scene = filled(Scene(server, tmp_path / str(number)))
            before = server.snapshot()
            run = push(scene).run
            comes_so_far = killed(server, lambda: undo(scene), Nth(number), before_effect=before_effect)  # noqa: B023
            if comes_so_far:
                with pytest.raises(WrongUsage, match="Finish it first with undo run"):
                    push(scene)
                undo(scene, run)
            assert server.snapshot() == before, number
        number += soaking(1, else_=5)
    assert number > WRITES


def test_a_journal_with_a_torn_last_line_still_undoes_everything(scene: Scene) -> None:
    before = scene.server.snapshot()
    push(scene)
    journal = scene.out / "ana" / "push" / "run.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1]) == {"end": "done"}
    journal.write_bytes(b"".join(lines[:-2]) + lines[-2][:-3])
    undo(scene)
    assert scene.server.snapshot() == before


def test_changes_on_the_server_between_plan_and_request_are_left_alone(scene: Scene) -> None:
    server = scene.server

    is_first = Nth(1)

    def interfere(request: Request) -> None:
        dora = server.add_person("Dora") if is_first(request) else None
        for face in server.faces:
            face.person = face.person or dora

    server.gates.append(interfere)
    summary = push(scene)
    assert summary.made["changed_meanwhile"] == 1
    assert sum(server.holder(face.id) == "Dora" for face in server.faces) == 3


def test_a_partly_refused_undo_can_be_given_up_so_that_pushes_continue(scene: Scene) -> None:
    added = push(scene).made["create_face"]
    scene.server.gates.append(lambda r: error(400) if r.method == "DELETE" and "/faces/" in r.path else None)
    assert undo(scene).failed == added
    with pytest.raises(WrongUsage) as refused:
        push(scene, when="run-2")
    assert "Finish it first with --undo run; " in worded(refused.value.sentence)
    assert "add --give-up." in worded(refused.value.sentence)
    assert undo(scene, "run", give_up=True).failed == added
    assert sum(face.source == "manual" for face in scene.server.faces) == added
    assert push(scene, when="run-2").failed == 0


def test_a_redirect_is_not_followed_and_another_host_never_sees_the_key(scene: Scene) -> None:
    with serving() as other:
        there = f"{other.url}/api/people"
        scene.server.gates.append(lambda r: error(307, location=there) if writing(r) else None)
        summary = push(scene)
        assert summary.failed
        assert other.requests == []
