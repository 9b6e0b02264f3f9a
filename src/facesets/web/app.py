"""The application: its pages and calls, behind the guards that every request passes."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from facesets import __version__
from facesets.web.access import Access, AccessGuard
from facesets.web.api import (
    assets,
    candidates,
    clusters,
    faces,
    health,
    jobs,
    persons,
    pictures,
    queue,
    runs,
    search,
    steps,
)
from facesets.web.headers import SafeHeaders
from facesets.web.limits import BoundedRequests, HeadLikeGet
from facesets.web.pages import login, people, person, photos, review, unknown
from facesets.web.pages import runs as runs_page
from facesets.web.pages import search as search_page
from facesets.web.problems import PROBLEMS, Unexpected, handle_errors
from facesets.web.render import STATIC
from facesets.web.site import Site

BASE = "/api/v1/faces"

_CALLS: tuple[APIRouter, ...] = (
    clusters.router,
    persons.router,
    faces.router,
    assets.router,
    candidates.router,
    runs.router,
    jobs.router,
    queue.router,
    search.router,
    pictures.router,
    steps.router,
)
_PAGES: tuple[APIRouter, ...] = (
    people.router,
    person.router,
    photos.router,
    review.router,
    unknown.router,
    search_page.router,
    runs_page.router,
)


_NAVIGATION = (
    ("/people", "People"),
    ("/review", "Review"),
    ("/unknown", "Unknown"),
    ("/search", "Search"),
    ("/runs", "Runs"),
)


def create_app(site: Site, access: Access, cookie: str = "facesets") -> FastAPI:
    """Put together what serves the library; parameters as `guarded_app`."""
    app = guarded_app(health.router, _CALLS, _PAGES, _NAVIGATION, access, cookie)
    app.state.site = site
    return app


def guarded_app(
    health_call: APIRouter,
    calls: Iterable[APIRouter],
    pages: Iterable[APIRouter],
    navigation: tuple[tuple[str, str], ...],
    access: Access,
    cookie: str,
) -> FastAPI:
    """Put calls and pages behind the guards that every request passes.

    Parameters
    ----------
    navigation : tuple of (str, str)
        Addresses and titles of the pages that every page leads to.
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
    for router in (login.router, *pages):
        app.include_router(router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    # The last one added is the first that a request meets.
    app.add_middleware(HeadLikeGet)
    app.add_middleware(BoundedRequests)
    app.add_middleware(AccessGuard, access=access, cookie=cookie)
    app.add_middleware(Unexpected)
    app.add_middleware(SafeHeaders)
    return app
