"""Result folders: photos, crops and manifests, and the user's changes there."""

from typing import Literal

Materialize = Literal["copy", "hardlink", "symlink", "none"]
"""How photos get into a result folder. Here, so that `--help` loads nothing else."""
