"""The manual page and docs/cli.md match the program's help."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from facesets.cli.manual import manual, reference
from tests.fixtures.parsing import commands
from tests.fixtures.program import REPOSITORY

PAGE = REPOSITORY / "docs" / "facesets.1"
REFERENCE = REPOSITORY / "docs" / "cli.md"


@pytest.mark.parametrize(("page", "made"), [(PAGE, manual), (REFERENCE, reference)], ids=["man", "cli.md"])
def test_generated_documentation_is_current(page: Path, made: Callable[[], str]) -> None:
    assert page.read_text("utf-8") == made(), "run scripts/man"


def test_the_reference_has_every_command_and_option_with_its_settings() -> None:
    sections = {
        section.partition("\n")[0]: section
        for part in reference().split("\n## ")
        for section in part.split("\n### facesets ")[1:]
    }
    assert set(sections) == set(commands())
    for path, command in commands().items():
        rows = [line for line in sections[path].splitlines() if line.startswith("| `--")]
        named = (param.opts[0] for param in command.params if not getattr(param, "hidden", False))
        shown = {name for name in named if name.startswith("--")}
        shown -= {"--json", "--debug", "--quiet", "--verbose"}
        assert {row.split()[1].strip("`,") for row in rows} == shown
        assert all(len(row.replace("\\|", "").split("|")) == 8 for row in rows)
    assert "| 30 | 1 or more | `FACESETS_DISCOVER_TOP_N` | `top-n` |" in sections["discover"]
    assert "| auto | 1 or more | `FACESETS_REFINE_MIN_FACES` | `min-faces` |" in sections["refine"]


def test_the_manual_page_describes_every_command_and_option() -> None:
    text = manual().replace("\\-", "-")
    for path, command in commands().items():
        assert f'"facesets {path} ' in text
        for param in command.params:
            assert all(option in text for option in param.opts if option.startswith("--"))


def test_the_manual_page_can_be_read() -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("needs groff")
    done = subprocess.run([groff, "-man", "-Tutf8", "-ww", PAGE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "facesets refine faces.npz out/facesets" in done.stdout
