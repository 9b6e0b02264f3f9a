"""`scripts/install` as far as it goes without an index: what it says to who runs it first."""

import os
import subprocess
from pathlib import Path

from tests.fixtures.program import REPOSITORY


def test_installing_ends_with_what_to_do_next_and_says_nothing_the_second_time(tmp_path: Path) -> None:
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
