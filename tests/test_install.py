"""`scripts/install` as far as it works without an index; its version for PowerShell as far as it reads."""

import os
import re
import subprocess
from pathlib import Path

from tests.fixtures.program import REPOSITORY


def test_installing_ends_with_the_next_step_and_is_silent_the_second_time(tmp_path: Path) -> None:
    bin_ = tmp_path / "venv" / "bin"
    bin_.mkdir(parents=True)
    python = bin_ / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)

    def install() -> str:
        done = subprocess.run(
            ["bash", "scripts/install"],
            cwd=REPOSITORY,
            env={**os.environ, "FACESETS_VENV": str(tmp_path / "venv")},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr

    assert install().splitlines()[-1] == f"Installed. Next: source {bin_}/activate; facesets run PHOTOS"
    assert install() == ""


def test_the_script_of_windows_takes_the_same_options_pins_and_marks() -> None:
    script, of_windows = ((REPOSITORY / "scripts" / name).read_text() for name in ("install", "install.ps1"))

    def named(pattern: str, text: str) -> set[str]:
        return set(re.findall(pattern, text))

    options = named(r"(?m)^ +--(\w+)\)", script)
    assert {option.capitalize() for option in options} == named(r"\[switch\]\$(\w+)", of_windows)
    assert named(r"cpu \| (\w+) \| (\w+)\)", script) == named(r"'cpu', '(\w+)', '(\w+)'", of_windows)
    for pattern in (
        r"constraints-\w+\.txt",
        r"onnxruntime[\w-]*",
        r"opencv-[\w-]+",
        r"installed-\w+",
        r"--no-deps",
        r"Python 3\.\d+ or later",
        r"3, \d+",
    ):
        assert named(pattern, script) == named(pattern, of_windows)


def test_the_windows_script_is_read_the_same_by_every_powershell() -> None:
    # The PowerShell of Windows reads a script without a byte order mark in the system's encoding.
    assert (REPOSITORY / "scripts" / "install.ps1").read_bytes().isascii()
