"""What a manifest says about its making."""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from facesets import __version__
from facesets.interfaces import Store
from facesets.records import CacheSettings
from facesets.results.manifest import Provenance

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_WITHOUT_EFFECT_ON_THE_RESULT = frozenset({"dry_run", "sheet", "merge", "replace"})

_ONLY_WHERE_GIVEN = frozenset({"min_norm", "min_age", "max_age", "formats", "era"})
"""Results of those who leave these as they are by default are the same as before there were any."""


def provenance(store: Store, models: CacheSettings, *options: "DataclassInstance") -> Provenance:
    """Say what a result is made by and from."""
    values = {name: value for some in options for name, value in recorded(some).items()}
    return Provenance(
        program=__version__, cache=store.label, store=store.identity, models=models, options=values
    )


def recorded(options: "DataclassInstance") -> dict[str, Any]:
    """Options as a manifest records them: those that decide about the result."""
    usual = {each.name: each.default for each in fields(options) if each.name in _ONLY_WHERE_GIVEN}
    return {
        name: value
        for name, value in asdict(options).items()
        if name not in _WITHOUT_EFFECT_ON_THE_RESULT and not (name in usual and value == usual[name])
    }
