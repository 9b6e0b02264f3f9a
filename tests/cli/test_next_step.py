"""The last lines of a command on a terminal."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from facesets.cli import console
from facesets.cli.guide import GUIDE
from facesets.cli.next_step import last_lines
from facesets.cli.wording import ConsoleSession
from facesets.result import Result
from tests.fixtures.parsing import commands, parse


@dataclass(frozen=True)
class Summary:
    """As much as any next step asks for."""

    faces: int = 5
    facesets: int = 2
    bundles: int = 2
    staged: int = 3
    changes: int = 1
    applied: bool = False


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(line: str, summary: object = None) -> list[str]:
    words = shlex.split(line)
    path = next(path for path in commands() if words[: len(path.split())] == path.split())
    return last_lines(path, GUIDE[path].next_step, parse(words), summary or Summary())


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("embed pics faces.npz", "cluster faces.npz out/raw"),
        ("embed --queue immich/anna/queue.json 'my faces.npz'", "cluster 'my faces.npz' out/raw"),
        ("cluster faces.npz 'my out/raw'", "refine faces.npz 'my out/facesets'"),
        ("cluster out/raw", "refine out/facesets"),
        ("cluster", "refine out/facesets"),
        ("refine faces.npz out/facesets", "export-swap faces.npz out/facesets out/swap"),
        (
            "refine faces.npz out/facesets --min-short 60",
            "export-swap faces.npz out/facesets out/swap --min-face-short 60",
        ),
        (
            "refine faces.npz out/facesets --min-short 95",
            "export-swap faces.npz out/facesets out/swap --min-face-short 95",
        ),
        ("refine out/swap", "export-swap out/swap out/swap-2"),
        ("export-swap faces.npz out/facesets out/swap", "verify-bundle out/swap"),
        ("extend faces.npz out/raw", "show out/raw"),
        ("discover faces.npz out/swap", "show out/swap"),
        ("split-eras faces.npz swap --set anna --probe", "split-eras faces.npz swap --set anna"),
        ("people list", "people review"),
        ("index --target pics", "cluster"),
        (
            "index --target pics --database postgresql://db/photos",
            "cluster --database postgresql://db/photos",
        ),
        ("index --target pics --database postgresql://me:secret@db/photos", "cluster --database URL"),
        ("dedup --database service=photos", "cluster out/raw --database service=photos"),
        ("export-cache faces.npz --database service=photos", "cluster faces.npz out/raw"),
        ("import-cache faces.npz --database service=photos", "cluster --database service=photos"),
        ("immich-stage --user anna", "immich-finish anna"),
        ("immich-push immich/anna", "immich-push immich/anna --apply"),
        ("undo out/raw 2", "show out/raw"),
        ("models pull", "run PHOTOS"),
        ("models pull open", "run PHOTOS --pack open"),
        ("models pull ViT-B-32__openai", "index PHOTOS"),
        ("models pull yolox_s", "index --stage bodies"),
    ],
)
def test_the_next_step_names_the_users_own_paths(line: str, step: str) -> None:
    assert lines(line) == [f"Next: facesets {step}"]
    parse(shlex.split(step))


def test_the_next_step_extends_existing_results() -> None:
    for name in ("out/raw/manifest.json", "out/facesets/refine_manifest.json"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text("{}")
    step = "extend faces.npz out/raw --refine-out out/facesets"
    assert lines("embed pics faces.npz") == [f"Next: facesets {step}"]


@pytest.mark.parametrize(
    "line",
    ["refine faces.npz out", "export-swap faces.npz sets out", "cluster c.npz out", "immich-stage --user a"],
)
def test_an_empty_result_has_no_next_step(line: str) -> None:
    assert lines(line, Summary(faces=0, facesets=0, bundles=0, staged=0)) == []


def test_after_run_folders_can_be_named() -> None:
    summary = Result(photos="pics", out="out", index="out/index.html", persons=2)
    (line,) = lines("run pics out", summary)
    assert "name the folders in out/people" in line
    (line,) = lines("run pics out", Result(summary, persons=0))
    assert "add photos" in line
    assert lines("run pics out", Result(summary, index="")) == []
    Path("out/people/person_001").mkdir(parents=True)
    assert len(lines("run pics out", summary)) == 1
    Path("out/people/Anna").mkdir()
    assert lines("run pics out", summary) == []


def test_the_next_step_of_a_dry_run_is_the_real_run() -> None:
    assert lines("refine faces.npz out --dry-run") == ["Next: the same command without --dry-run"]


def test_the_contact_sheet_is_named_where_one_was_made() -> None:
    Path("out").mkdir()
    Path("out/contact_sheet.png").write_bytes(b"")
    assert lines("refine faces.npz out")[0] == "Contact sheet: out/contact_sheet.png"
    assert len(lines("refine faces.npz out --no-sheet")) == 1


def test_every_next_step_belongs_to_a_command() -> None:
    assert set(GUIDE) <= set(commands())


@pytest.mark.parametrize(
    ("state", "expected"),
    [({}, True), ({"quiet": True}, False), ({"json": True}, False)],
)
def test_hints_are_for_terminals_only(
    state: dict[str, Any], expected: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "session", ConsoleSession(**state))
    console.aside("Next: facesets stats")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    console.aside("Next: facesets stats")
    assert bool(capsys.readouterr().err) == expected
