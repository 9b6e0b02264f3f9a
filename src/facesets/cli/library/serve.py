"""`facesets serve`."""

import html
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.opening import current_user
from facesets.cli.params import DatabaseOption
from facesets.errors import Command, FacesetsError, Field, MissingExtra, WrongUsage
from facesets.file_system import patiently
from facesets.files import PEOPLE, printable
from facesets.operations.options.declaration import Option

if TYPE_CHECKING:
    from facesets.settings import Settings
    from facesets.web.access import Access
    from facesets.web.background import Jobs
    from facesets.web.crops import CropStore
    from facesets.web.serving import App
    from facesets.web.site import Site

_READ_WITHIN_S = 60.0
_PREFIX = "facesets-link-"
_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>facesets</title>
<p><a href="{link}">Open facesets</a></p>
"""


@contextmanager
def opener(link: str, secrets: Path | None) -> Iterator[Callable[[], None]]:
    """Return a function that opens a link in the browser, without waiting for it.

    Parameters
    ----------
    secrets : Path or None
        Folder for a file that redirects the browser, and that only its owner can read: all accounts of the
        machine can see the arguments of a program. None for links without a token.
    """
    if secrets is None:
        yield partial(_aside, partial(_open, link))
        return
    # Browsers installed as snaps, as on Ubuntu, cannot read hidden folders.
    if Path("/snap").is_dir() and os.access(Path.home(), os.W_OK):
        secrets = Path.home()
    _sweep(secrets)
    with NamedTemporaryFile("w", dir=secrets, prefix=_PREFIX, suffix=".html", delete=False) as file:
        file.write(_PAGE.format(link=html.escape(link)))
    page = Path(file.name)
    try:
        yield partial(_aside, partial(_lead, page))
    finally:
        _remove(page)


def _aside(work: Callable[[], object]) -> None:
    # A browser in a terminal would run until the user leaves it.
    threading.Thread(target=work, daemon=True).start()


def _lead(page: Path) -> None:
    """Open a page that redirects to the link, and remove it after a while."""
    if _open(page.as_uri()):
        time.sleep(_READ_WITHIN_S)
    _remove(page)


def _remove(page: Path) -> None:
    # On Windows a file that a browser has open cannot be removed; the next run removes it.
    with suppress(OSError):
        patiently(os.unlink, page)


def _sweep(folder: Path) -> None:
    """Remove redirect pages of killed runs."""
    for page in folder.glob(f"{_PREFIX}????????.html"):
        with suppress(OSError):
            if time.time() - page.stat().st_mtime > _READ_WITHIN_S:
                _remove(page)


def _open(address: str) -> bool:
    with suppress(webbrowser.Error):
        if webbrowser.open(address):
            return True
    console.remark("No browser could be opened. Open the address above yourself.")
    return False


_MEGABYTE = 1_000_000
_SESSIONS = 6
_JOBS_END_WITHIN_S = 0.3
_COUNTED_WITHIN_S = 3.0
"""Maximum wait before the address is printed: the first page then appears at once."""
_PARTS = ("fastapi", "jinja2", "uvicorn")


def serve(
    database: DatabaseOption = None,
    results: Annotated[
        Path | None,
        Option(
            "Show and correct this result folder of `cluster` or `refine`; needs no library.", metavar="DIR"
        ),
    ] = None,
    host: Annotated[
        str, Option("Address to listen on; any but this machine's own needs --token-file.", metavar="HOST")
    ] = ("127.0.0.1"),
    port: Annotated[int, Option("Port; 0 for any free one.", least=0, most=65535)] = 8765,
    open_: Annotated[bool, Option("Open the browser.", flag="--open")] = False,
    token_file: Annotated[
        Path | None,
        Option(
            "A file with the password for browsers, which is also the token for programs.",
            metavar="FILE",
            unset="a token that is made once, and is in the link that is printed",
        ),
    ] = None,
    no_token: Annotated[
        bool, Option("Allow every account of this machine to see and change everything without a token.")
    ] = False,
    name: Annotated[
        tuple[str, ...], Option("Further host names; it can be reached by any of them.", metavar="HOST...")
    ] = (),
    crop_cache: Annotated[
        int, Option("Maximum size of stored face crops, in MB.", least=1, advanced=True)
    ] = 500,
) -> None:
    """Open the library in the browser.

    It also answers the REST API, and runs until Ctrl-C.
    """
    from facesets import settings as all_settings

    _require_extra()
    settings = all_settings.load()
    if results is not None:
        _require_people(results, database)
    from facesets.web.serving import address_of, bound_socket, is_loopback
    from facesets.web.serving import serve as run

    with bound_socket(host, port) as bound, ExitStack() as stack:
        access = _access(
            token_file, settings, name, host, of_machine=not is_loopback(bound), is_open=no_token
        )
        from facesets.store.stored_crops import FOLDER
        from facesets.web.background import Jobs
        from facesets.web.crops import CropStore

        crops = CropStore(settings.cache_dir / FOLDER, crop_cache * _MEGABYTE)
        # Browsers share cookies between the ports of a machine.
        cookie = f"facesets_{bound.getsockname()[1]}"
        jobs = Jobs()
        if results is not None:
            app = _app_of_results(results, crops, access, cookie)
        else:
            from facesets.assembly.stores import open_sessions
            from facesets.web.site import Site

            sessions = stack.enter_context(open_sessions(database, settings, console, max_sessions=_SESSIONS))
            app = _app_of_library(Site(sessions, crops, jobs, settings, current_user()), access, cookie)
        address = address_of(bound)
        link = access.link(address)
        secrets = settings.state_dir if link != address else None
        opens = stack.enter_context(opener(link, secrets)) if open_ else None
        report_ready = partial(_print_address, link if sys.stdout.isatty() else address, access, name, opens)
        ended_by = _answer(partial(run, app, bound), jobs, report_ready)
    # A normal exit would wait for threads that handle a query or a picture.
    console.leave(ended_by)


def _require_extra() -> None:
    """Check that everything needed for serving is installed. Raises `MissingExtra`."""
    try:
        for part in _PARTS:
            import_module(part)
    except ModuleNotFoundError as error:
        raise MissingExtra("serve") from error


def _access(
    token_file: Path | None,
    settings: "Settings",
    names: Sequence[str],
    host: str,
    *,
    of_machine: bool,
    is_open: bool,
) -> "Access":
    """Return who has access and under which host names. Raises `WrongUsage`."""
    from facesets.web.access import Access, exposed, given_token, stored_token
    from facesets.web.access_guard import host_names

    if token_file is None and of_machine:
        raise WrongUsage(
            f"On {printable(host)} everyone in the network could see the photos. Set a password with "
            f"{Field('token_file', 'FILE')}."
        )
    if token_file is not None and is_open:
        raise WrongUsage(f"Give either {Field('token_file')} or {Field('no_token')}, not both.")
    path = token_file or settings.state_dir / "serve-token"
    token = given_token(path) if token_file is not None else stored_token(path, console.notice)
    if warning := exposed(path):
        console.notice(warning)
    is_made = token_file is None
    if is_made:
        # On a terminal the link contains the token; others may read a log or a pipe.
        say = console.detail if is_open or sys.stdout.isatty() else console.remark
        say(f"The token for browsers and programs is in {printable(path)}.")
    hosts = host_names((*names, host), of_machine=of_machine)
    # With further host names, strangers may reach a proxy: do not show them this machine's folders.
    shown_path = printable(path.absolute()) if is_made and not names else ""
    return Access(token, must_log_in=not is_open, hosts=hosts, is_made=is_made, token_file=shown_path)


def _app_of_results(results: Path, crops: "CropStore", access: "Access", cookie: str) -> "App":
    from facesets.web.api.result_folder import ResultSite
    from facesets.web.app import create_results_app

    return create_results_app(ResultSite(results.absolute(), crops), access, cookie)


def _app_of_library(site: "Site", access: "Access", cookie: str) -> "App":
    from facesets.web.app import create_app

    app = create_app(site, access, cookie)
    # In the background: early requests are answered, and wait only for what is left of it.
    threading.Thread(target=_warm, args=[site], daemon=True).start()
    site.is_counted.wait(_COUNTED_WITHIN_S)
    return app


def _warm(site: "Site") -> None:
    """Count in advance; if that fails, the first request counts and reports the error."""
    with suppress(FacesetsError):
        site.warm()
    site.is_counted.set()


def _answer(run: Callable[..., int], jobs: "Jobs", report_ready: Callable[[], None]) -> int:
    """Serve until a signal arrives; return its number."""
    try:
        return run(when_ready=report_ready)
    finally:
        jobs.close(_JOBS_END_WITHIN_S)


def _print_address(
    address: str, access: "Access", names: Sequence[str], opens: Callable[[], None] | None
) -> None:
    """Print the address, and who has access without a token."""
    console.out(address)
    if not access.must_log_in:
        others = f" and everyone who reaches {printable(', '.join(names))}" if names else ""
        console.notice(f"Every account of this machine{others} can see and change what is shown there.")
    if opens is not None:
        opens()


def _require_people(results: Path, database: str | None) -> None:
    """Check that a folder can be shown. Raises `WrongUsage`, or as `read_result`."""
    from facesets.operations.grouping.current_result import read_result

    if database is not None:
        raise WrongUsage(
            f"{Field('results')} shows a folder and {Field('database')} a library. Give only one."
        )
    try:
        read_result(results)
    except WrongUsage as error:
        people = results / PEOPLE
        if not (people / "manifest.json").is_file():
            raise
        raise WrongUsage(
            f"{printable(results)} was made by {Command('run')}; its people are in a subfolder. Give "
            f"{Field('results', printable(people))}."
        ) from error
