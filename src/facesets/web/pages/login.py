"""The door: a password field where one is needed."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from facesets.web.access import Access, TooManyTries, session_cookie
from facesets.web.attempts import client_of
from facesets.web.render import render

router = APIRouter()

_MOST_FIELDS = 10


@router.get("/")
def start() -> Response:
    """Begin with the people."""
    return RedirectResponse("/people", status_code=303)


@router.get("/login")
def form(request: Request, to: str = "/people") -> Response:
    """Ask for the password."""
    return render(request, "login.html", title="Log in", to=_own(to), wrong="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Give whoever knows the password a session."""
    try:
        given = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        given = {}
    to = _own("".join(given.get("to", ["/people"])))
    access: Access = request.app.state.access
    wrong, status = "That is not the password.", 403
    try:
        is_right = access.opens("".join(given.get("password", [])), client_of(request.scope))
    except TooManyTries as error:
        is_right, wrong, status = False, error.sentence, 429
    if not is_right:
        return render(request, "login.html", status=status, title="Log in", to=to, wrong=wrong)
    answer = RedirectResponse(to, status_code=303)
    cookie = session_cookie(request.app.state.cookie, access.new_session(logged_in=True), request.headers)
    answer.headers.append("set-cookie", cookie)
    return answer


def _own(address: str) -> str:
    """An address of ours: others would lead whoever logs in to a foreign site."""
    is_own = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if is_own else "/people"
