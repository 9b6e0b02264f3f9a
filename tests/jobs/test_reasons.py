"""Why a job failed is kept and shown, whatever words of others its sentence repeats."""

import json
import logging

import pytest

from facesets.assembly.commands import VERBS, Verb
from facesets.errors import Field, WrongUsage
from facesets.jobs.queueing import JobWork, Order, put
from facesets.result import Result
from facesets.store.postgres.connection import Database
from tests.fixtures.program import run
from tests.fixtures.queued import work


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\0b", "a\\x00b"),
        ("x\udce9y", "x\\udce9y"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("so " * 20_000, "so so so so"),
    ],
)
def test_a_reason_is_kept_and_shown_as_one_harmless_line(
    queue: Database,
    library_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    words: str,
    shown: str,
) -> None:
    # What pytest captures of a log goes from process to process as UTF-8, which not all these words are.
    caplog.set_level(logging.CRITICAL, "procrastinate")

    def fail(_: JobWork) -> Result:
        raise WrongUsage(f"Leave out {Field('ml_uri')}. The service said: {words}")

    monkeypatch.setitem(VERBS, "cluster", Verb(fail))
    number = put(queue, Order("cluster"))
    work(queue)
    told = run("jobs", "show", number, "--json", "--database", library_url).out
    reason = json.loads(told)["reason"]
    assert reason.startswith(f"Leave out --ml-uri. The service said: {shown}")
    assert reason.isprintable()
    assert len(reason) < 5000
