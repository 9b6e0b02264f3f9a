"""The door: a password field where one is needed."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from facesets.web.access import Access, TooManyTries, csrf_of, own_address
from facesets.web.attempts import client_of
from facesets.web.render import render

router = APIRouter()

_MOST_FIELDS = 10


@router.get("/")
def start() -> Response:
    """Begin with the people."""
    return RedirectResponse("/people", status_code=303)


@router.get("/login")
def form(request: Request, to: str = "/people", *, again: bool = False) -> Response:
    """Ask for the password, or the token; whoever is logged in goes on at once.

    A browser that another site led here sends no cookie: only a page of ours can lead it on so that it does.
    """
    if csrf_of(request):
        return RedirectResponse(own_address(to), status_code=303)
    if not again and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return render(request, "onward.html", title="One moment", to=own_address(to))
    return _form(request, to, status=200, wrong="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Give whoever knows the password a session."""
    try:
        given = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        given = {}
    to = "".join(given.get("to", ["/people"]))
    access: Access = request.app.state.access
    wrong, status = f"That is not the {'token' if access.is_made else 'password'}.", 403
    try:
        is_right = access.opens("".join(given.get("password", [])), client_of(request.scope))
    except TooManyTries as error:
        is_right, wrong, status = False, error.sentence, 429
    if not is_right:
        return _form(request, to, status=status, wrong=wrong)
    answer = RedirectResponse(own_address(to), status_code=303)
    cookie = access.session_cookie(request.app.state.cookie, request.headers, logged_in=True)
    answer.headers.append("set-cookie", cookie)
    return answer


def _form(request: Request, to: str, *, status: int, wrong: str) -> Response:
    access: Access = request.app.state.access
    values = {"to": own_address(to), "wrong": wrong, "is_made": access.is_made, "kept_in": access.kept_in}
    return render(request, "login.html", status=status, title="Log in", **values)
