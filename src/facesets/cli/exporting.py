"""What the commands that write into an export have in common on the command line."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets.cli.flags import Only
from facesets.cli.results import learned_lines
from facesets.files import printable
from facesets.operations.options.cache import (
    LOADER_DET_SIZE,
    VERIFY_MIN_DET_SCORE,
    DetectionOptions,
    ExportSwapOptions,
)
from facesets.operations.options.declaration import Option
from facesets.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facesets.inference.local import LocalEmbedder
    from facesets.interfaces import Progress, Store
    from facesets.operations.face_sets.export_swap import EmptySet, ExportSwapSummary
    from facesets.records import CacheSettings, Faces, Pixels
    from facesets.settings import Settings
    from facesets.stop import Stop

SourceRootOption = Annotated[
    tuple[Path, ...], Option("Only photos below this folder. May be repeated.", metavar="DIR")
]
CropOptions = Annotated[
    ExportSwapOptions,
    Only(
        "top_n",
        "outlier_threshold",
        "pad_ratio",
        "out_size",
        "min_face_short",
        "select",
        "sheet",
        "replace",
        "dry_run",
    ),
]
"""What every command can be told that makes sets of its own in an export."""


class EmbedderOnDemand:
    """An embedder whose models are found, fetched and loaded when they are first needed."""

    def __init__(self, load: "Callable[[], LocalEmbedder]") -> None:
        self._load = cache(load)

    @property
    def settings(self) -> "CacheSettings":
        """Those of the embedder; errors as loading it."""
        return self._load().settings

    def embed(self, pictures: "Sequence[Pixels]") -> "list[Faces]":
        """As the embedder; errors as loading it."""
        return self._load().embed(pictures)


def loader_embedder(
    store: "Store",
    pack: str | None,
    provider: str,
    conf: "Settings",
    progress: "Progress",
    stop: "Stop",
    *,
    fetch: bool,
) -> EmbedderOnDemand:
    """What finds faces in crops as the bundles' consumer does, with the store's own pack unless told.

    `MissingModelPack` is raised when it is first used, so that a slip in a name is told before a download.
    """

    def load() -> "LocalEmbedder":
        from facesets.cli import assemble
        from facesets.operations.ingest.enrich import require_models

        known = require_models(store)
        name = pack or known.pack
        models = assemble.get_pack(name, conf, progress, stop, known=known, fetch=fetch)
        detection = DetectionOptions(name, LOADER_DET_SIZE, VERIFY_MIN_DET_SCORE)
        return assemble.make_embedder(models, detection, assemble.choose(provider, models))

    return EmbedderOnDemand(load)


def left_out(summary: "ExportSwapSummary") -> str:
    """How many faces an export left out, by reason, and what was learned from the user's own changes."""
    reasons = ", ".join(f"{count} by {gate}" for gate, count in summary.dropped_by.items())
    total = f"{counted(summary.dropped, 'face')} left out" + (f": {reasons}." if reasons else ".")
    hint = [summary.hint] if summary.hint else []
    return "\n".join([total, *map(_not_made, summary.empty), *hint, *learned_lines(summary.learned)])


def _not_made(empty: "EmptySet") -> str:
    reasons = [f"{count} by {gate}" for gate, count in empty.dropped_by.items()]
    reasons += [f"{counted(empty.failed, 'photo')} could not be read"] if empty.failed else []
    return (
        f"{printable(empty.name) or 'A new person'}: none of {counted(empty.faces, 'face')} passed "
        f"({', '.join(reasons)}), so there is no face set."
    )
