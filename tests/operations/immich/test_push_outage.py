"""Writing people back to a server that fails, by a program that is killed: it ends as if undisturbed."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.immich_people import PeopleServer, Snapshot
from tests.fixtures.immich_server import KEY, Answer, Request, error, running, serving
from tests.fixtures.pushing import PLACES, Scene, push, undo
from tests.fixtures.soak import soaking
from tests.fixtures.staging import access

from facesets.cli.wording import worded
from facesets.errors import FacesetsError, Unreachable, WrongUsage
from facesets.work import Stop

pytestmark = pytest.mark.slow

WRITES = 7
"""What pushing the scene takes."""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running(PeopleServer()) as server:
        yield filled(Scene(server, tmp_path))


def filled(scene: Scene) -> Scene:
    """One person to name, one to make with given and added faces, and one to merge into another."""
    server = scene.server
    half, other_half = server.add_person(), server.add_person(birth_date="1990-01-01")
    for number in range(1, 5):
        scene.both(number, "Ben", half)
    for number in range(5, 8):
        scene.both(number, "Ben", other_half)
    scene.both(8, "Cleo", None)
    scene.both(9, "Cleo", half, place=1)
    for number in (10, 11):
        asset = scene.photo(number)
        server.add_face(asset, PLACES[0])
        scene.ours(asset, "Cleo", 2)
    scene.stage()
    server.requests.clear()
    return scene


def writing(request: Request) -> bool:
    return request.method != "GET" and "/search/" not in request.path


class Nth:
    """Counts requests that change something, and acts at one of them."""

    def __init__(self, number: int, act: Callable[[Request], Answer | None]) -> None:
        self._left = number
        self._act = act
        self.struck = False

    def __call__(self, request: Request, _: Answer | None = None) -> Answer | None:
        if not writing(request):
            return None
        self._left -= 1
        if self._left != 0:
            return None
        self.struck = True
        return self._act(request)


def calm(tmp_path: Path) -> tuple[Snapshot, Snapshot]:
    """The same library before and after an undisturbed push."""
    with running(PeopleServer()) as server:
        scene = filled(Scene(server, tmp_path / "calm"))
        before = server.snapshot()
        push(scene)
        assert len(server.writes) == WRITES
        return before, server.snapshot()


@pytest.mark.slow
@pytest.mark.soak
def test_a_request_or_an_answer_that_is_lost_costs_nothing_whichever_it_is(tmp_path: Path) -> None:
    before, after = calm(tmp_path)
    lost = replace(error(503), drop=True)
    for number in range(1, WRITES + 1, soaking(1, else_=2)):
        # One of both, and both at each in the long run.
        for of_answer in soaking((False, True), else_=(number % 4 == 1,)):
            with running(PeopleServer()) as server:
                scene = filled(Scene(server, tmp_path / f"{number}-{of_answer}"))
                strike = Nth(number, lambda _: lost)
                (server.rules if of_answer else server.gates).append(strike)
                summary = push(scene)
                assert strike.struck
                assert (summary.failed, server.snapshot() == after) == (0, True), (number, of_answer)
                undo(scene)
                assert server.snapshot() == before, (number, of_answer)


@pytest.mark.slow
@pytest.mark.soak
def test_an_outage_at_any_moment_ends_the_run_and_the_next_goes_on_from_there(tmp_path: Path) -> None:
    before, after = calm(tmp_path)
    cuts: list[bool] = []
    for limit in range(0, 60, soaking(3, else_=15)):
        with running(PeopleServer()) as server:
            scene = filled(Scene(server, tmp_path / str(limit)))
            server.gates.append(lambda _: error(503) if len(server.requests) > limit else None)  # noqa: B023
            try:
                # So late that there is too little left to fail for the server to count as gone.
                was_cut = push(scene).failed > 0
            except Unreachable:
                was_cut = True
            cuts.append(was_cut)
            server.gates.clear()
            push(scene, when="later")
            assert server.snapshot() == after, limit
            assert push(scene).changes == 0
            for _ in range(2):
                with suppress(WrongUsage):
                    undo(scene)
            assert server.snapshot() == before, limit
    assert cuts.count(True) > len(cuts) * 0.6


def killed(work: Callable[[], object], server: PeopleServer, number: int, *, before_effect: bool) -> bool:
    """Run something in a process of its own that is killed at a request; whether it came so far."""
    process = os.fork()
    if process == 0:
        with suppress(FacesetsError):
            work()
        os._exit(0)

    def kill(_: Request) -> Answer | None:
        os.kill(process, signal.SIGKILL)
        return error(503) if before_effect else None

    strike = Nth(number, kill)
    hook = server.gates if before_effect else server.rules
    hook.append(strike)
    os.waitpid(process, 0)
    server.wait_until_alone()
    hook.clear()
    return strike.struck


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("before_effect", [True, False])
def test_killed_at_any_request_the_server_ends_up_as_after_an_undisturbed_run(
    before_effect: bool, tmp_path: Path
) -> None:
    before, after = calm(tmp_path)
    for number in range(soaking(1, else_=1 + before_effect), WRITES + 1, soaking(1, else_=3)):
        with running(PeopleServer()) as server:
            scene = filled(Scene(server, tmp_path / str(number)))
            assert killed(lambda: push(scene), server, number, before_effect=before_effect)  # noqa: B023
            push(scene, when="later")
            assert server.snapshot() == after, number
            # The run that was killed and the one that ended it are one.
            undo(scene)
            assert server.snapshot() == before, number


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("before_effect", [True, False])
def test_an_undo_that_is_killed_is_ended_by_the_next(before_effect: bool, tmp_path: Path) -> None:
    number, comes_so_far = 1, True
    while comes_so_far:
        with running(PeopleServer()) as server:
            scene = filled(Scene(server, tmp_path / str(number)))
            before = server.snapshot()
            run = push(scene).run
            comes_so_far = killed(lambda: undo(scene), server, number, before_effect=before_effect)  # noqa: B023
            if comes_so_far:
                with pytest.raises(WrongUsage, match="End it first: undo run"):
                    push(scene)
                undo(scene, run)
            assert server.snapshot() == before, number
        number += soaking(1, else_=4)
    assert number > WRITES


def test_a_journal_whose_last_line_was_cut_short_still_takes_everything_back(scene: Scene) -> None:
    before = scene.server.snapshot()
    push(scene)
    journal = scene.out / "ana" / "push" / "run.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1]) == {"end": "done"}
    journal.write_bytes(b"".join(lines[:-2]) + lines[-2][:-3])
    undo(scene)
    assert scene.server.snapshot() == before


def test_ctrl_c_ends_a_push_cleanly_and_the_next_goes_on(scene: Scene, tmp_path: Path) -> None:
    _, after = calm(tmp_path)
    stop = Stop()
    scene.server.gates.append(Nth(3, lambda _: stop.request()))
    cut = push(scene, stop=stop)
    assert cut.stopped
    assert scene.server.snapshot() != after
    scene.server.gates.clear()
    assert push(scene, when="later").run == cut.run
    assert scene.server.snapshot() == after


def test_what_somebody_changes_between_plan_and_request_is_left_to_them(scene: Scene) -> None:
    server = scene.server

    def interfere(_: Request) -> None:
        dora = server.add_person("Dora")
        for face in server.faces:
            if face.person is None:
                face.person = dora

    server.gates.append(Nth(1, interfere))
    summary = push(scene)
    assert summary.made["changed_meanwhile"] == 1
    assert sum(server.holder(face.id) == "Dora" for face in server.faces) == 3


def test_a_change_that_is_refused_costs_itself_only_and_is_tried_again(scene: Scene, tmp_path: Path) -> None:
    before, after = calm(tmp_path)
    scene.server.gates.append(lambda r: error(400) if r.method == "POST" and r.path == "/api/faces" else None)
    summary = push(scene)
    assert summary.failed == 2
    assert all(reason == "the server refuses the request (400)" for _, reason in summary.failures)
    scene.server.gates.clear()
    assert push(scene, when="run-2").made == {"create_face": 2}
    assert scene.server.snapshot() == after
    undo(scene)
    undo(scene)
    assert scene.server.snapshot() == before


def test_an_undo_of_which_a_part_is_refused_for_good_can_be_given_up_so_that_pushes_go_on(
    scene: Scene,
) -> None:
    added = push(scene).made["create_face"]
    scene.server.gates.append(lambda r: error(400) if r.method == "DELETE" and "/faces/" in r.path else None)
    assert undo(scene).failed == added
    with pytest.raises(WrongUsage) as refused:
        push(scene, when="run-2")
    assert "End it first: --undo run, " in worded(refused.value.sentence)
    assert "--undo with --give-up." in worded(refused.value.sentence)
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


def test_a_bad_key_ends_the_run_without_showing_it(scene: Scene) -> None:
    with pytest.raises(WrongUsage) as caught:
        push(scene, reach=replace(access(scene.server.url), api_key=f"{KEY}x"))
    assert KEY not in str(caught.value)
