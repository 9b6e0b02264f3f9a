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
from facesets.web.render import render
from facesets.web.wording import worded

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
API = "/api/"


def handle_errors(app: FastAPI) -> None:
    """Answer every error by a sentence."""
    app.add_exception_handler(FacesetsError, _of_ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unexpected)


def _of_ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, FacesetsError):
        raise error
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        _log.error("%s %s: %s", request.method, request.url.path, error)
    more: dict[str, Any] = {}
    if isinstance(error, NameTaken | FolderTaken):
        more = {"kind": "name-taken", "question": worded(error.question)}
    elif isinstance(error, Changed):
        more = {"kind": "changed"}
    return answered(request, status, worded(f"{error}"), **more)


def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"})
    said = f"{where}: {first['msg']}." if where else f"{first['msg']}."
    return answered(request, HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _of_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this address."
    response = answered(request, HTTPStatus(error.status_code), detail)
    response.headers.update(error.headers or {})
    return response


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answered(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "That failed for a reason the program did not expect. The terminal in which it runs says more.",
    )


def answered(request: Request, status: HTTPStatus, sentence: str, **more: Any) -> Response:
    """A sentence as an answer of a status, in the form that whoever asked can use."""
    if request.url.path.startswith(API) or "text/html" not in request.headers.get("accept", ""):
        return problem(status, sentence, **more)
    return render(request, "problem.html", status=status, title=status.phrase, sentence=sentence)


def problem(status: HTTPStatus, sentence: str, **more: Any) -> JSONResponse:
    """A sentence as `application/problem+json`."""
    return JSONResponse(
        {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": sentence, **more},
        status_code=status,
        media_type="application/problem+json",
    )
