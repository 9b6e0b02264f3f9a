"""How the program ends when it is told to."""

import signal
import subprocess
import sys
import time

import pytest

from tests.fixtures.program import environment

_BUSY = """
import time
from concurrent.futures import ThreadPoolExecutor
from facesets.cli.console import stoppable

with stoppable() as stop, ThreadPoolExecutor() as pool:
    picture = pool.submit(time.sleep, 60)
    print("begun", flush=True)
    picture.result()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_a_run_in_the_middle_of_a_picture(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _BUSY],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    assert "Once more to stop at once" in process.stderr.readline()
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 128 + number
    assert time.monotonic() - began < 20
    assert err == ""
