"""`/review`: one question at a time. What is asked comes by calls, so that the next is there at once."""

from fastapi import APIRouter, Request, Response

from facesets.web.render import render

router = APIRouter()


@router.get("/review")
def page(request: Request) -> Response:
    """The frame that questions are shown in."""
    return render(request, "review.html", title="Review")
