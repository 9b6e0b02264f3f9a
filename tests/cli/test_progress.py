"""How far the work is, in lines for a log."""

import pytest

from facesets.cli.progress import PlainProgress, amount, bars, speed
from facesets.errors import Field, Sentence


def test_a_download_is_counted_in_megabytes() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append, lambda: False)
    progress.begin("Fetching buffalo_l.zip", 288_621_354, in_bytes=True)
    progress.advance(144_310_677)
    progress.end()
    (line,) = lines
    assert line.startswith("Fetching buffalo_l.zip: 144/289 MB (")
    assert "MB/s" in line


@pytest.mark.parametrize(
    ("done", "total", "in_bytes", "text"),
    [(3, 10, False, "3/10"), (3, None, False, "3"), (2.6e6, None, True, "3 MB"), (0, 1e6, True, "0/1 MB")],
)
def test_how_much_of_how_much(done: float, total: float | None, in_bytes: bool, text: str) -> None:
    assert amount(done, total, in_bytes=in_bytes) == text
    assert speed(2e6, in_bytes=in_bytes) == ("2.0 MB/s" if in_bytes else "2000000.0/s")


def test_a_quiet_run_hears_notices_only() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append, lambda: True)
    progress.begin("Embedding", 2)
    progress.advance(2)
    progress.say("A warning.")
    progress.end()
    assert lines == ["A warning."]


def test_a_notice_above_the_bars_names_flags_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as shown:
        shown.say(Sentence(f"Try {Field('batch_size', '1')}."))
    assert "Try --batch-size 1.\n" in capsys.readouterr().err
