"""The applications of a library and of a result folder: pages and API calls behind common middleware."""

from collections.abc import Iterable
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, Response
from pydantic import Field
from starlette.staticfiles import StaticFiles

from facesets import __version__
from facesets.errors import FacesetsError
from facesets.store.postgres.connection import Connection
from facesets.web import access_guard
from facesets.web.access import Access
from facesets.web.access_guard import AccessGuard
from facesets.web.api import candidates, clusters, faces, jobs, persons, result_folder, runs, search
from facesets.web.api.result_folder import ResultSite
from facesets.web.api.shapes import Shape
from facesets.web.middleware import BoundedRequests, HeadLikeGet, SafeHeaders, Unexpected
from facesets.web.pages import people, photos, review
from facesets.web.pages import result_folder as result_pages
from facesets.web.pages import runs as runs_page
from facesets.web.pages import search as search_page
from facesets.web.problems import PROBLEMS, handle_errors
from facesets.web.render import STATIC
from facesets.web.site import Site, SiteDep

BASE = "/api/v1/faces"

_CALLS: tuple[APIRouter, ...] = (
    clusters.router,
    persons.router,
    faces.router,
    candidates.router,
    runs.router,
    jobs.router,
    search.router,
    faces.pictures,
    persons.steps,
)
_PAGES: tuple[APIRouter, ...] = (
    people.router,
    photos.router,
    review.router,
    search_page.router,
    runs_page.router,
)
_NAVIGATION = (
    ("/people", "People"),
    ("/review", "Review"),
    ("/unknown", "Unnamed"),
    ("/search", "Search"),
    ("/runs", "Runs"),
)
_RESULT_NAVIGATION = (("/people", "People"),)

_health = APIRouter()


class Health(Shape):
    """The state of the server and its library."""

    status: Literal["ok", "unavailable"]
    database: Literal["ok", "unavailable"]
    schema_number: Annotated[
        int | None, Field(alias="schema", description="The number of the latest migration.")
    ]
    faces: Annotated[int | None, Field(description="The estimated number of faces.")]


@_health.get("/health", tags=["health"])
def health(site: SiteDep, response: Response) -> Health:
    """Check whether the library answers; status 503 if it doesn't."""
    try:
        with site.library() as session:
            schema, faces = session.run(_counted)
    except FacesetsError:
        response.status_code = 503
        return Health(status="unavailable", database="unavailable", schema_number=None, faces=None)
    return Health(status="ok", database="ok", schema_number=schema, faces=faces)


def _counted(connection: Connection) -> tuple[int, int]:
    # Estimated: counting a million rows takes longer than a monitor waits. Before the first estimate as
    # many are counted as that takes no time.
    row = connection.one(
        """SELECT (SELECT max(number) FROM schema_migrations), CASE WHEN reltuples > 0
                    THEN reltuples::bigint
                    ELSE (SELECT count(*) FROM (SELECT FROM face_detections LIMIT 100000) AS counted) END
                FROM pg_class WHERE oid = 'face_detections'::regclass"""
    )
    return row[0], row[1]


def create_app(site: Site, access: Access, cookie: str = "facesets") -> FastAPI:
    """Return the application that serves a library; parameters as `_guarded`."""
    app = _guarded(_health, _CALLS, _PAGES, _NAVIGATION, access, cookie)
    app.state.site = site
    return app


def create_results_app(site: ResultSite, access: Access, cookie: str = "facesets") -> FastAPI:
    """Return the application that serves a result folder; `cookie` as in `_guarded`."""
    calls, pages = (result_folder.router,), (result_pages.router,)
    app = _guarded(result_folder.health, calls, pages, _RESULT_NAVIGATION, access, cookie)
    app.state.site = site
    return app


def _guarded(
    health_call: APIRouter,
    calls: Iterable[APIRouter],
    pages: Iterable[APIRouter],
    navigation: tuple[tuple[str, str], ...],
    access: Access,
    cookie: str,
) -> FastAPI:
    """Put API calls and pages behind the common middleware.

    Parameters
    ----------
    navigation : tuple of (str, str)
        Addresses and titles of the pages in the navigation.
    cookie : str
        Name of the session's cookie: another for each port, since browsers do not tell ports apart.
    """
    app = FastAPI(
        title="facesets",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.navigation = navigation
    app.state.access = access
    app.state.cookie = cookie
    handle_errors(app)
    app.include_router(health_call)
    for router in calls:
        app.include_router(router, prefix=BASE, responses=PROBLEMS)
    for router in (access_guard.router, *pages):
        app.include_router(router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    # The last one added is the first that a request meets.
    app.add_middleware(HeadLikeGet)
    app.add_middleware(BoundedRequests)
    app.add_middleware(AccessGuard, access=access, cookie=cookie)
    app.add_middleware(Unexpected)
    app.add_middleware(SafeHeaders)
    return app
