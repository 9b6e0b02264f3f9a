"""The application that shows a result folder, behind the same guards as that of the library."""

from fastapi import FastAPI

from facesets.web.access import Access
from facesets.web.app import guarded_app
from facesets.web.results import calls, pages
from facesets.web.results.site import ResultSite

_NAVIGATION = (("/people", "People"),)


def create_results_app(site: ResultSite, access: Access, cookie: str = "facesets") -> FastAPI:
    """Put together what serves a result folder; `cookie` as `guarded_app` takes it."""
    app = guarded_app(calls.health, (calls.router,), (pages.router,), _NAVIGATION, access, cookie)
    app.state.site = site
    return app
