"""What the commands that write into an export have in common on the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesets.cli.params import DebugOption, DryRunOption, JsonOption, PackOption, ProviderOption
from facesets.cli.results import ReplaceOption, SheetOption, learned_lines
from facesets.files import printable
from facesets.operations.options.cache import ExportSwapOptions, Select
from facesets.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.operations.face_sets.export_summary import EmptySet, ExportSwapSummary

_DEFAULT = ExportSwapOptions()


def _value(text: str, default: object) -> Any:  # noqa: ANN401 - typer's own type
    """An option that has no value unless it is given, so that a file may give it."""
    return typer.Option(help=f"{text} [default: {default}]", show_default=False)


TopNOption = Annotated[int | None, _value("Faces in the smaller bundle.", _DEFAULT.top_n)]
OutlierOption = Annotated[
    float | None,
    _value(
        "Cosine distance from the set's centroid beyond which a face is left out.", _DEFAULT.outlier_threshold
    ),
]
PadRatioOption = Annotated[
    float | None, _value("Padding around the box, in longer edges of it.", _DEFAULT.pad_ratio)
]
OutSizeOption = Annotated[int | None, _value("Pixels of a PNG's edge.", _DEFAULT.out_size)]
MinFaceShortOption = Annotated[
    float | None, _value("Fewest pixels of the short edge of the box.", _DEFAULT.min_face_short)
]
SelectOption = Annotated[
    Select | None,
    _value("What the smaller bundle holds: the best, or good ones in diverse poses.", _DEFAULT.select),
]


SourceRootOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="DIR", help="Only photos below this folder. May be repeated.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class ExportFlags:
    """What every command can be told that makes sets of its own in an export."""

    top_n: TopNOption = None
    outlier_threshold: OutlierOption = None
    pad_ratio: PadRatioOption = None
    out_size: OutSizeOption = None
    min_face_short: MinFaceShortOption = None
    select: SelectOption = None
    pack: PackOption = None
    provider: ProviderOption = "auto"
    sheet: SheetOption = True
    replace: ReplaceOption = False
    dry_run: DryRunOption = False
    json: JsonOption = False
    debug: DebugOption = False

    def options(self, in_file: Mapping[str, Any] | None = None) -> ExportSwapOptions:
        """How sets are exported; what a file says counts where no flag is given."""
        flags = given(**{field.name: getattr(self, field.name) for field in fields(self)})
        return ExportSwapOptions(**only_of(ExportSwapOptions, {**(in_file or {}), **flags}))


def takes_export_flags(command: "Callable[..., None]") -> "Callable[..., None]":
    """Give a command the flags of `ExportFlags`, after its own; it gets them as `export`."""
    own = [each for each in signature(command).parameters.values() if each.name != "export"]
    shared = [
        Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(ExportFlags)
    ]

    def run(**values: Any) -> None:  # noqa: ANN401 - whatever flags hold
        flags = ExportFlags(**{each.name: values.pop(each.name) for each in shared})
        command(**values, export=flags)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
    run.__signature__ = Signature([*own, *shared])  # type: ignore[attr-defined]
    return run


def given(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever flags hold
    """Those flags that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def only_of(kind: Any, values: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Those values that are options of this kind."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


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
