"""What is written into people's folders: photos, crops, manifests; and what people changed there since."""

from typing import Literal

Materialize = Literal["copy", "hardlink", "symlink", "none"]
"""How photos get into a result folder. Here, so that `--help` loads nothing else."""
