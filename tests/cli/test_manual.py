"""The manual page says what the program's help says."""

import shutil
import subprocess

import pytest

from facesets.cli.manual import manual
from tests.fixtures.parsing import commands
from tests.fixtures.program import REPOSITORY

PAGE = REPOSITORY / "docs" / "facesets.1"


def test_the_manual_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == manual(), "run scripts/man"


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
