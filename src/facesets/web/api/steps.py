"""`/undo`: taking back what was changed."""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field

from facesets.operations.people.corrections.history import undo
from facesets.web.api.shapes import Shape
from facesets.web.site import SiteDep

router = APIRouter(tags=["steps"])


class UndoRequest(Shape):
    """Which step to take back; by default the latest that stands."""

    step: int | None = Field(default=None, ge=1, lt=2**63)


class StepShape(Shape):
    """A step that was taken back."""

    step: int
    what: str
    faces: int


@router.post("/undo")
def take_back(site: SiteDep, asked: Annotated[UndoRequest, Body(default_factory=UndoRequest)]) -> StepShape:
    """Take a step back."""
    with site.library() as session:
        step = undo(session, asked.step, by=site.by)
    return StepShape(step=step.id, what=step.what, faces=step.faces)
