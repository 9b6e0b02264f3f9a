"""`facesets serve`."""

import secrets
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.cli.user import current_user
from facesets.errors import CannotWrite, Command, FacesetsError, Field, MissingExtra, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option

if TYPE_CHECKING:
    from facesets.settings import Settings
    from facesets.web.access import Access
    from facesets.web.background import Jobs
    from facesets.web.crops import CropStore
    from facesets.web.serving import App
    from facesets.web.site import Site

_FEWEST_CHARACTERS = 12
_MEGABYTE = 1_000_000
_SESSIONS = 6
_JOBS_END_WITHIN_S = 0.3
_COUNTED_WITHIN_S = 3.0
"""So long the address is not printed, so that the first page is there at once."""
_PARTS = ("fastapi", "jinja2", "uvicorn")


def serve(
    database: DatabaseOption = None,
    results: Annotated[
        Path | None,
        Option("Show this folder of `cluster` or `refine`, and correct it; needs no library.", metavar="DIR"),
    ] = None,
    host: Annotated[
        str, Option("Where to listen; another address than this machine's own needs a token.")
    ] = ("127.0.0.1"),
    port: Annotated[int, Option("The port; 0 for any that is free.", least=0, most=65535)] = 8765,
    open_: Annotated[bool, Option("Show it in the browser.", flag="--open")] = False,
    token_file: Annotated[
        Path | None,
        Option(
            "A file with the password for the browser, which is also the token of programs.",
            metavar="FILE",
            unset="looking needs none; programs that change something take one that is made",
        ),
    ] = None,
    name: Annotated[
        tuple[str, ...], Option("Further host names: it may be called by any of them.", metavar="HOST...")
    ] = (),
    crop_cache: Annotated[int, Option("How much may be kept of pictures of faces, in MB.", least=1)] = 500,
) -> None:
    """Open the library in the browser, and answer calls of its API, until Ctrl-C."""
    from facesets import settings as all_settings

    _require_extra()
    settings = all_settings.load()
    if results is not None:
        _require_people(results, database)
    from facesets.web.serving import address_of, bound_socket, is_loopback
    from facesets.web.serving import serve as run

    with bound_socket(host, port) as bound, ExitStack() as stack:
        access = _access(token_file, settings, (*name, host), of_machine=not is_loopback(bound))
        from facesets.store.kept_pictures import FOLDER
        from facesets.web.background import Jobs
        from facesets.web.crops import CropStore

        crops = CropStore(settings.cache_dir / FOLDER, crop_cache * _MEGABYTE)
        # Browsers do not tell the ports of a machine apart.
        cookie = f"facesets_{bound.getsockname()[1]}"
        jobs = Jobs()
        if results is not None:
            app = _app_of_results(results, crops, access, cookie)
        else:
            from facesets.assembly.sessions import open_sessions
            from facesets.web.site import Site

            sessions = stack.enter_context(open_sessions(database, settings, console, most=_SESSIONS))
            app = _app_of_library(Site(sessions, crops, jobs, settings, current_user()), access, cookie)
        ended_by = _answer(partial(run, app, bound), address_of(bound), jobs, shows=open_)
    # Threads in the middle of a question or a picture would be waited for.
    console.leave(ended_by)


def _require_extra() -> None:
    """Make sure that all that serving needs is installed, also what its parts need. Raises `MissingExtra`."""
    try:
        for part in _PARTS:
            import_module(part)
    except ModuleNotFoundError as error:
        raise MissingExtra("serve") from error


def _access(
    token_file: Path | None, settings: "Settings", names: Sequence[str], *, of_machine: bool
) -> "Access":
    """Who may look, and under which names; whole networks by a password only. Raises `WrongUsage`."""
    from facesets.web.access import Access
    from facesets.web.hosts import host_names

    if token_file is None and of_machine:
        raise WrongUsage(
            f"On {printable(names[-1])} everybody in the network could see the photos. Give "
            f"{Field('token_file', 'FILE')} with a password in it."
        )
    token, path = _token(token_file, settings)
    console.detail(f"The token of programs is in {printable(path)}.")
    hosts = host_names(names, of_machine=of_machine)
    return Access(token, must_log_in=token_file is not None, hosts=hosts)


def _app_of_results(results: Path, crops: "CropStore", access: "Access", cookie: str) -> "App":
    from facesets.web.results.app import create_results_app
    from facesets.web.results.site import ResultSite

    return create_results_app(ResultSite(results.absolute(), crops), access, cookie)


def _app_of_library(site: "Site", access: "Access", cookie: str) -> "App":
    from facesets.web.app import create_app

    app = create_app(site, access, cookie)
    # Aside: whoever comes meanwhile is answered, and waits at most for the rest of it.
    threading.Thread(target=_warm, args=[site], daemon=True).start()
    site.is_counted.wait(_COUNTED_WITHIN_S)
    return app


def _warm(site: "Site") -> None:
    """Count beforehand; where that fails, whoever needs it counts, and hears of it."""
    with suppress(FacesetsError):
        site.warm()
    site.is_counted.set()


def _answer(run: Callable[..., int], address: str, jobs: "Jobs", *, shows: bool) -> int:
    """Answer until a signal comes; returns its number."""

    def ready() -> None:
        console.out(address)
        if shows:
            # Aside: a browser in a terminal would run until somebody leaves it.
            threading.Thread(target=_open, args=[address], daemon=True).start()

    try:
        return run(when_ready=ready)
    finally:
        jobs.close(_JOBS_END_WITHIN_S)


def _open(address: str) -> None:
    """Show an address in a browser, if there is one."""
    with suppress(webbrowser.Error):
        if webbrowser.open(address):
            return
    console.remark("No browser could be opened: open the address above in one.")


def _require_people(results: Path, database: str | None) -> None:
    """Make sure that a folder can be shown. Raises `WrongUsage`, or as `read_result`."""
    from facesets.operations.grouping.result_now import read_result
    from facesets.operations.run import PEOPLE

    if database is not None:
        raise WrongUsage(
            f"{Field('results')} shows a folder and {Field('database')} a library. Give one of them."
        )
    try:
        read_result(results)
    except WrongUsage as error:
        people = results / PEOPLE
        if not (people / "manifest.json").is_file():
            raise
        raise WrongUsage(
            f"{printable(results)} is a folder of {Command('run')}; its people are in a folder below. Give "
            f"{Field('results', printable(people))}."
        ) from error


def _token(given: Path | None, settings: "Settings") -> tuple[str, Path]:
    """The token, and the file that holds it; one that nobody gave is made once."""
    path = given or settings.state_dir / "serve-token"
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        if given is not None:
            raise WrongUsage(f"There is no file {printable(path)}. Write a password into it.") from None
        token = _made_token(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise WrongUsage(f"{printable(path)} cannot be read: {reason}. Write a password into it.") from None
    if len(token) < _FEWEST_CHARACTERS:
        raise WrongUsage(
            f"The password in {printable(path)} is too short. Write at least {_FEWEST_CHARACTERS} characters."
        )
    return token, path


def _made_token(path: Path) -> str:
    """Make a token and keep it where nobody else can read it; two programs at once keep the same."""
    text = secrets.token_urlsafe(24)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # As `tempfile` makes files, nobody else may read them.
        with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(text)
        made = Path(file.name)
        try:
            path.hardlink_to(made)
        except FileExistsError:
            text = path.read_text().strip()
        finally:
            made.unlink()
    except OSError as error:
        raise CannotWrite(f"{printable(path)} cannot be written: {error.strerror}.") from None
    return text
