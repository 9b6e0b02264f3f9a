"""What `split-eras` and its probe report."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from facesets.operations.face_sets.eras.capture_years import YearSources
from facesets.operations.face_sets.eras.person import EraRequest, FoundPerson
from facesets.operations.face_sets.eras.probe import EraProbe
from facesets.operations.face_sets.export_summary import ExportSwapSummary
from facesets.operations.face_sets.set_changes import State
from facesets.results.manifest import Failure


@dataclass(frozen=True, slots=True)
class ProbeSummary:
    """What `split-eras --probe` found. `text` is what was written to `text_file`."""

    set: str
    recovered: int
    near: int
    dropped_by: dict[str, int]
    years: YearSources
    evidence: EraProbe
    text: str
    text_file: str
    chart: str
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    dry_run: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class EraSet:
    """One era, and the set that it became.

    Attributes
    ----------
    state : str
        `new`, `changed` or `unchanged`: what this run made of the set; `empty`: none of its faces passes.
    first, last, dominant : int
        Capture years; 0 where none is known.
    fragments : int
        Smaller sub-clusters that joined its anchor.
    thin : bool
        It has fewer faces than a set needs.
    """

    set: str
    state: State
    faces: int
    first: int
    last: int
    dominant: int
    fragments: int
    thin: bool


@dataclass(frozen=True, slots=True)
class SplitErasSummary:
    """What `split-eras` found and wrote.

    Attributes
    ----------
    left_out : int
        Faces in fragments too small for an era of their own.
    gone : list of str
        Sets of an earlier split that this one has no more.
    forced : str
        What spoke against splitting, where it was done all the same.
    """

    set: str
    out: str
    recovered: int
    near: int
    dropped_by: dict[str, int]
    years: YearSources
    eras: list[EraSet]
    left_out: int
    gone: list[str]
    export: ExportSwapSummary | None
    failed: int
    failures: list[Failure] = field(default_factory=list)
    forced: str = ""
    dry_run: bool = False
    stopped: bool = False


def summary_of_split(
    request: EraRequest,
    person: FoundPerson,
    eras: list[EraSet],
    gone: Sequence[str],
    written: ExportSwapSummary | None,
    *,
    dry_run: bool,
) -> SplitErasSummary:
    """Put together what was found and what was written; nothing was where `written` is None."""
    failures = written.failures if written else []
    return SplitErasSummary(
        set=request.name,
        out=str(request.out),
        recovered=len(person.recovered.rows),
        near=person.recovered.near,
        dropped_by=person.recovered.dropped_by,
        years=person.years.sources,
        eras=eras,
        left_out=len(person.recovered.rows) - sum(era.faces for era in eras),
        gone=list(gone),
        export=written,
        failed=len(failures),
        failures=failures,
        dry_run=dry_run,
        stopped=written is None or written.stopped,
    )
