"""The application: its pages and calls, behind the guards that every request passes."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from facesets import __version__
from facesets.web.access import Access, AccessGuard
from facesets.web.api import faces, health, persons, steps
from facesets.web.headers import SafeHeaders
from facesets.web.limits import BoundedRequests
from facesets.web.pages import login, people
from facesets.web.problems import handle_errors
from facesets.web.render import STATIC
from facesets.web.site import Site

BASE = "/api/v1/faces"

_CALLS: tuple[APIRouter, ...] = (persons.router, faces.router, steps.router)
_PAGES: tuple[APIRouter, ...] = (people.router,)


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
        app.include_router(router, prefix=BASE)
    for router in (login.router, *pages):
        app.include_router(router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    # The last one added is the first that a request meets.
    app.add_middleware(BoundedRequests)
    app.add_middleware(AccessGuard, access=access, cookie=cookie)
    app.add_middleware(SafeHeaders)
    return app
