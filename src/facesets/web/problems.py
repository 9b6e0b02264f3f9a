"""Errors as answers: `application/problem+json` for programs, a page for people (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from facesets.errors import (
    AlreadyRunning,
    Changed,
    FacesetsError,
    NotFound,
    Unreachable,
    UnreadableImage,
    WrongUsage,
)
from facesets.operations.grouping.by_hand import FolderTaken
from facesets.operations.people.corrections.naming import NameTaken
from facesets.web.render import render, worded

_SCHEMA = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do, in a sentence."},
        "kind": {"type": "string", "enum": ["name-taken", "changed"]},
        "question": {"type": "string", "description": "Whose answer decides, as of two people of one name."},
        "personId": {"type": "string", "description": "Who has the name."},
        "faceIds": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Faces of who was to get the name.",
        },
        "otherFaceIds": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Faces of who has it.",
        },
    },
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    int(status): {"description": said, "content": {"application/problem+json": {"schema": _SCHEMA}}}
    for status, said in (
        (HTTPStatus.BAD_REQUEST, "The request is malformed."),
        (HTTPStatus.UNAUTHORIZED, "The token is missing or wrong."),
        (HTTPStatus.NOT_FOUND, "It does not exist."),
        (HTTPStatus.CONFLICT, "Somebody else changed it, or has that name; or other work is going on."),
        (HTTPStatus.UNPROCESSABLE_ENTITY, "What is asked for does not fit."),
        (HTTPStatus.SERVICE_UNAVAILABLE, "The library does not answer, or is busy."),
    )
}
"""How calls answer that cannot do what they are asked, for the OpenAPI document."""

_log = logging.getLogger("facesets.web")

_STATUS: tuple[tuple[type[FacesetsError], HTTPStatus], ...] = (
    (NameTaken, HTTPStatus.CONFLICT),
    (FolderTaken, HTTPStatus.CONFLICT),
    (Changed, HTTPStatus.CONFLICT),
    (NotFound, HTTPStatus.NOT_FOUND),
    (UnreadableImage, HTTPStatus.NOT_FOUND),
    (AlreadyRunning, HTTPStatus.CONFLICT),
    (Unreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (WrongUsage, HTTPStatus.UNPROCESSABLE_ENTITY),
)
_HEADINGS = {
    HTTPStatus.BAD_REQUEST: "That cannot be read",
    HTTPStatus.UNAUTHORIZED: "Log in first",
    HTTPStatus.FORBIDDEN: "Refused",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.METHOD_NOT_ALLOWED: "Not possible here",
    HTTPStatus.CONFLICT: "Not now",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That is too large",
    HTTPStatus.MISDIRECTED_REQUEST: "Another address",
    HTTPStatus.UNPROCESSABLE_ENTITY: "That does not fit",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait a moment",
    HTTPStatus.SERVICE_UNAVAILABLE: "The library does not answer",
}
"""What pages say in large letters; of other statuses, that something failed."""
_NOTHING = "There is nothing at this address."
API = "/api/"


def handle_errors(app: FastAPI) -> None:
    """Answer every error by a sentence; what nobody expected is for `Unexpected`."""
    app.add_exception_handler(FacesetsError, _of_ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_http)


def _of_ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, FacesetsError):
        raise error
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        _log.error("%s %s: %s", request.method, request.scope["path"], error)
    more: dict[str, Any] = {}
    if isinstance(error, NameTaken):
        more = {
            "kind": "name-taken",
            "question": worded(error.question),
            "personId": f"{error.other}",
            "faceIds": list(error.faces),
            "otherFaceIds": list(error.other_faces),
        }
    elif isinstance(error, FolderTaken):
        more = {"kind": "name-taken", "question": worded(error.question)}
    elif isinstance(error, Changed):
        more = {"kind": "changed"}
    said = f"{error}"
    if isinstance(error, UnreadableImage):
        reason = said.removeprefix("cannot be read: ")
        said = f"The photo cannot be shown: {reason}. Connect the disk that holds it, or put its file back."
    return answered(request, status, worded(said), **more)


def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"})
    if not request.scope["path"].startswith(API):
        if first["loc"][0] == "path":
            return answered(request, HTTPStatus.NOT_FOUND, _NOTHING)
        sentence = f"What the address gives as {where} does not fit. Leave it out."
        return answered(request, HTTPStatus.UNPROCESSABLE_ENTITY, sentence)
    said = f"{where}: {first['msg']}." if where else f"{first['msg']}."
    if first["type"] == "json_invalid":
        said = "The body is not valid JSON."
    return answered(request, HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _of_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = _NOTHING
    response = answered(request, HTTPStatus(error.status_code), detail)
    response.headers.update(error.headers or {})
    return response


def answered(request: Request, status: HTTPStatus, sentence: str, **more: Any) -> Response:
    """A sentence as an answer of a status: a page for people, `application/problem+json` for programs."""
    is_call = request.scope["path"].startswith(API) and request.headers.get("sec-fetch-mode") != "navigate"
    if is_call or "text/html" not in request.headers.get("accept", ""):
        told = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": sentence}
        return JSONResponse({**told, **more}, status_code=status, media_type="application/problem+json")
    title = _HEADINGS.get(status, "That failed")
    if status == HTTPStatus.MISDIRECTED_REQUEST:
        # By that name there is no style sheet either, and no page to lead to.
        return render(request, "refused.html", status=status, title=title, sentence=sentence)
    passes = status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET"
    again = request.url.path + f"?{request.url.query}".rstrip("?") if passes else ""
    return render(request, "problem.html", status=status, title=title, sentence=sentence, again=again)
