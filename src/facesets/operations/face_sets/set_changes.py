"""What an export would do to each of its sets, reported before anything is written."""

from pathlib import Path
from typing import Literal

from facesets.operations.face_sets.plan import ExportPlan, PlannedSet
from facesets.operations.face_sets.set_writer import finished_set
from facesets.result import Result
from facesets.results.manifest import SET_MANIFEST

State = Literal["new", "changed", "unchanged", "empty"]
"""What becomes of a set; `empty`: none of its faces passes, and there is no such set."""


def set_states(out: Path, plan: ExportPlan) -> dict[str, tuple[str, State]]:
    """For each source of the plan's sets: the name of its set, and what becomes of the set."""
    return {planned.source: (planned.name, _state(out, planned)) for planned in plan.sets}


def without_empty(states: dict[str, tuple[str, State]], written: Result) -> dict[str, tuple[str, State]]:
    """As `set_states`, once it is known which sets have no face that passes: these have no name."""
    return states | {empty.source: ("", "empty") for empty in written.empty}


def _state(out: Path, planned: PlannedSet) -> State:
    if not (out / planned.name / SET_MANIFEST).is_file():
        return "new"
    return "changed" if finished_set(out, planned) is None else "unchanged"
