"""The circuit breaker and retries, by themselves."""

import threading
import time

import pytest

from facesets.errors import Unreachable
from facesets.remote.circuit import CONSECUTIVE_ERRORS, Circuit
from facesets.remote.retry import Stopped, TransientError, doubling, pausing, retry_after_s, retrying
from facesets.work import Stop
from tests.fixtures.waiting import PATIENCE_S


def test_twelve_consecutive_failures_start_a_probe() -> None:
    probes: list[int] = []

    def probe() -> bool:
        probes.append(1)
        return True

    circuit = Circuit("it", probe)
    for _ in range(CONSECUTIVE_ERRORS - 1):
        circuit.failed()
    circuit.succeeded()
    for _ in range(CONSECUTIVE_ERRORS - 1):
        circuit.failed()
    assert probes == []
    circuit.failed()
    assert probes == [1]


def test_a_failed_probe_ends_all_threads() -> None:
    circuit = Circuit("photos.example.org", lambda: False, limit=2)
    circuit.failed()
    with pytest.raises(Unreachable, match=r"photos\.example\.org stopped responding"):
        circuit.failed()
    with pytest.raises(Unreachable):
        circuit.check()


def test_a_server_that_answers_only_probes_counts_as_down() -> None:
    circuit = Circuit("it", lambda: True, limit=2, advice="Has it had its tea?")
    for _ in range(7):
        circuit.failed()
    with pytest.raises(
        Unreachable, match=r"it responds, but every request fails.* Has it had its tea\? Results so far"
    ):
        circuit.failed()


def test_other_threads_wait_for_the_probe() -> None:
    probing, answered = threading.Event(), threading.Event()

    def probe() -> bool:
        probing.set()
        answered.wait(PATIENCE_S)
        return False

    circuit = Circuit("it", probe, limit=1)
    verdicts: list[str] = []

    def fail() -> None:
        with pytest.raises(Unreachable):
            circuit.failed()
        verdicts.append("failed")

    def ask() -> None:
        with pytest.raises(Unreachable):
            circuit.check()
        verdicts.append("checked")

    first = threading.Thread(target=fail)
    first.start()
    assert probing.wait(PATIENCE_S)
    second = threading.Thread(target=ask)
    second.start()
    assert verdicts == []
    answered.set()
    first.join()
    second.join()
    assert sorted(verdicts) == ["checked", "failed"]


def test_waits_double_and_a_servers_wish_for_longer_is_heeded() -> None:
    waited: list[float] = []

    def fail() -> None:
        raise TransientError("it broke", wait_s=3.0 if len(waited) == 1 else 0.0)

    with pytest.raises(TransientError):
        retrying(fail, doubling(1.0, attempts=4), waited.append)
    assert waited == [1.0, 3.0, 4.0]


def test_a_wait_ends_when_the_run_is_asked_to_end() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.request).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        pausing(stop)(60)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("7", 7), ("-1", 0), ("soon", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float) -> None:
    assert retry_after_s(header) == seconds
