"""What a manifest says about its making."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from facesets import __version__
from facesets.interfaces import Store
from facesets.records import CacheSettings
from facesets.results.manifest import Provenance

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_WITHOUT_EFFECT_ON_THE_RESULT = frozenset({"dry_run", "sheet", "merge", "replace"})


def provenance(store: Store, models: CacheSettings, *options: "DataclassInstance") -> Provenance:
    """Say what a result is made by and from."""
    values = {name: value for some in options for name, value in recorded(some).items()}
    return Provenance(
        program=__version__, cache=store.label, store=store.identity, models=models, options=values
    )


def recorded(options: "DataclassInstance") -> dict[str, Any]:
    """Options as a manifest records them: those that decide about the result."""
    return {k: v for k, v in asdict(options).items() if k not in _WITHOUT_EFFECT_ON_THE_RESULT}
