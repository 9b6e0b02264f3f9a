"""The end of the program on request."""

import signal
import sys
import time

import pytest

from facesets.cli.opening import work_on_library
from tests.fixtures.program import started
from tests.fixtures.waiting import PATIENCE_S

_BUSY = """
import time
from concurrent.futures import ThreadPoolExecutor
from facesets.cli.console import stoppable

with stoppable() as stop, ThreadPoolExecutor() as pool:
    picture = pool.submit(time.sleep, 60)
    print("begun", flush=True)
    picture.result()
"""


def test_work_that_is_done_as_a_whole_is_ended_by_the_first_signal(library_url: str) -> None:
    usual = signal.getsignal(signal.SIGINT)
    with work_on_library(library_url):
        assert signal.getsignal(signal.SIGINT) is not usual
    with work_on_library(library_url, is_whole=True):
        assert signal.getsignal(signal.SIGINT) is usual


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_a_run_in_the_middle_of_a_picture(number: signal.Signals) -> None:
    with started([sys.executable, "-c", _BUSY]) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert "again to stop immediately" in process.stderr.readline()
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    assert time.monotonic() - began < 20
    assert err == ""
