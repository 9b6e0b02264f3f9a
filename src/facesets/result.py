"""Results of commands: figures by the keys that `--json` prints."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


class Result(dict[str, Any]):
    """The figures of a run, by name and in the order in which they are printed.

    `Result(faces=3, dry_run=False)` makes one, and `Result(result, step=7)` the same with another figure. A
    figure can also be read as an attribute: `result.faces`. `facesets.words` words results. These figures
    mean the same in every result that has them:

    failed, failures
        How many inputs failed, and each with its reason.
    dry_run
        Nothing was changed.
    stopped
        A signal ended the run early.
    step
        The number of the change in the library, by which it is undone; None where nothing changed.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever was counted
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no figure is called {name}") from None


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Convert figures and records to JSON values; a field's metadata may give another `key`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.metadata.get("key", each.name): plain(getattr(value, each.name)) for each in fields(value)
        }
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
