"""How far the work is, in lines for a log."""

import time

import pytest

from facesets.cli import progress
from facesets.cli.progress import PlainProgress, amount, bars, reminding, speed
from facesets.errors import Field, Sentence
from tests.fixtures.waiting import wait_for


def test_a_download_is_counted_in_megabytes() -> None:
    lines: list[str] = []
    plain = PlainProgress(lines.append, lambda: False)
    plain.begin("Fetching buffalo_l.zip", 288_621_354, in_bytes=True)
    plain.advance(144_310_677)
    plain.end()
    (line,) = lines
    assert line.startswith("Fetching buffalo_l.zip: 144/289 MB (")
    assert "MB/s" in line


@pytest.mark.parametrize(
    ("done", "total", "in_bytes", "text"),
    [(3, 10, False, "3/10"), (3, None, False, "3"), (2.6e6, None, True, "3 MB"), (0, 1e6, True, "0/1 MB")],
)
def test_progress_shows_count_and_total(done: float, total: float | None, in_bytes: bool, text: str) -> None:
    assert amount(done, total, in_bytes=in_bytes) == text
    assert speed(2e6, in_bytes=in_bytes) == ("2.0 MB/s" if in_bytes else "2000000.0/s")


def test_a_quiet_run_prints_only_notices() -> None:
    lines: list[str] = []
    plain = PlainProgress(lines.append, lambda: True)
    plain.begin("Embedding", 2)
    plain.advance(2)
    plain.say("A warning.")
    plain.end()
    assert lines == ["A warning."]


def test_a_notice_above_the_bars_names_flags_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as shown:
        shown.say(Sentence(f"Try {Field('batch_size', '1')}."))
    assert "Try --batch-size 1.\n" in capsys.readouterr().err


def test_a_log_starts_with_the_task_and_repeats_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FIRST_LINE_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "_PLAIN_LINE_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "_REMIND_EVERY_S", 0.01)
    lines: list[str] = []
    plain = PlainProgress(lines.append, lambda: False, "facesets run photos")
    with reminding(plain, time.monotonic()):
        wait_for(lambda: len(lines) > 1)
        plain.begin("Clustering", 1)
        wait_for(lambda: lines[-1].startswith("Clustering"))
    assert lines[0] == "Started: facesets run photos"
    assert lines[1] == "Working: 0 s elapsed"
    assert "Clustering: 0 s elapsed" in lines


def test_quick_or_quiet_work_is_not_introduced() -> None:
    lines: list[str] = []
    with reminding(PlainProgress(lines.append, lambda: False, "facesets show"), time.monotonic()):
        pass
    PlainProgress(lines.append, lambda: True, "facesets run photos").introduce()
    assert lines == []
