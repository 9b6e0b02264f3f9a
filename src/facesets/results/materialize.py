"""How photos get into a result folder. A module of its own, so that `--help` loads nothing else."""

from typing import Literal

Materialize = Literal["copy", "hardlink", "symlink", "none"]
