"""Errors as answers: `application/problem+json` (RFC 9457) for programs, a page for browsers."""

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
from facesets.operations.grouping.folder_corrections import FolderTaken
from facesets.operations.people.corrections.naming import NameTaken
from facesets.web.render import render, worded

_SCHEMA = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do."},
        "kind": {"type": "string", "enum": ["name-taken", "changed"]},
        "question": {
            "type": "string",
            "description": "A question for the user, such as whether two people are one person.",
        },
        "personId": {"type": "string", "description": "The person who has the name."},
        "faceIds": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Faces of the person to be named.",
        },
        "otherFaceIds": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Faces of the person who has the name.",
        },
    },
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    int(status): {"description": sentence, "content": {"application/problem+json": {"schema": _SCHEMA}}}
    for status, sentence in (
        (HTTPStatus.BAD_REQUEST, "The request is malformed."),
        (HTTPStatus.UNAUTHORIZED, "The token is missing or wrong."),
        (HTTPStatus.NOT_FOUND, "Not found."),
        (HTTPStatus.CONFLICT, "Another user changed it, the name is taken, or another job is running."),
        (HTTPStatus.UNPROCESSABLE_ENTITY, "The request is well formed but invalid."),
        (HTTPStatus.SERVICE_UNAVAILABLE, "The library doesn't answer or is busy."),
    )
}
"""The error answers, for the OpenAPI document."""

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
    HTTPStatus.BAD_REQUEST: "Bad request",
    HTTPStatus.UNAUTHORIZED: "Log in first",
    HTTPStatus.FORBIDDEN: "Access denied",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.METHOD_NOT_ALLOWED: "Not supported",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request too large",
    HTTPStatus.MISDIRECTED_REQUEST: "Wrong host name",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Invalid request",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many attempts",
    HTTPStatus.SERVICE_UNAVAILABLE: "Library unavailable",
}
"""The headings of error pages; other statuses have a common one."""
_NOTHING = "There is no page at this address."
_OF_FRAMEWORK = {
    HTTPStatus.BAD_REQUEST: "The request body cannot be read. Send JSON in UTF-8.",
    HTTPStatus.NOT_FOUND: _NOTHING,
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not support that method.",
}
"""Sentences in place of those of the web framework."""
API = "/api/"


def handle_errors(app: FastAPI) -> None:
    """Answer every error with a sentence, except unexpected ones, which `Unexpected` handles."""
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
    sentence = f"{error}"
    if isinstance(error, UnreadableImage):
        reason = sentence.removeprefix("cannot be read: ")
        sentence = f"Cannot show the photo: {reason}. Connect its drive, or restore the file."
    return answered(request, status, worded(sentence), **more)


def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"})
    if not request.scope["path"].startswith(API):
        if first["loc"][0] == "path":
            return answered(request, HTTPStatus.NOT_FOUND, _NOTHING)
        sentence = f"The value of {where} in the address is invalid. Remove or correct it."
        return answered(request, HTTPStatus.UNPROCESSABLE_ENTITY, sentence)
    sentence = f"{where}: {first['msg']}." if where else f"{first['msg']}."
    if first["type"] == "json_invalid":
        sentence = "The request body is not valid JSON."
    return answered(request, HTTPStatus.UNPROCESSABLE_ENTITY, sentence)


def _of_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    response = answered(request, status, _OF_FRAMEWORK.get(status, error.detail))
    response.headers.update(error.headers or {})
    return response


def answered(request: Request, status: HTTPStatus, sentence: str, **more: Any) -> Response:
    """Return an error answer: a page for browsers, `application/problem+json` for programs."""
    is_call = request.scope["path"].startswith(API) and request.headers.get("sec-fetch-mode") != "navigate"
    if is_call or "text/html" not in request.headers.get("accept", ""):
        problem = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": sentence}
        return JSONResponse({**problem, **more}, status_code=status, media_type="application/problem+json")
    title = _HEADINGS.get(status, "Error")
    if status == HTTPStatus.MISDIRECTED_REQUEST:
        # Style sheets and other pages are refused under that name, too.
        return render(request, "refused.html", status=status, title=title, sentence=sentence)
    passes = status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET"
    again = request.url.path + f"?{request.url.query}".rstrip("?") if passes else ""
    return render(request, "problem.html", status=status, title=title, sentence=sentence, again=again)
