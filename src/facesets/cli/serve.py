"""`facesets serve`."""

import os
import secrets
import webbrowser
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.cli.user import current_user
from facesets.errors import CannotWrite, Field, MissingExtra, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option

if TYPE_CHECKING:
    from facesets.settings import Settings

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FEWEST_CHARACTERS = 12
_MEGABYTE = 1_000_000
_SESSIONS = 6
_JOBS_END_WITHIN_S = 5.0


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
        tuple[str, ...], Option("A further host name by which it may be called.", metavar="HOST...")
    ] = (),
    crop_cache: Annotated[int, Option("How much may be kept of pictures of faces, in MB.", least=1)] = 500,
) -> None:
    """Open the library, or a folder of results, in the browser, and answer calls of its API, until Ctrl-C."""
    from facesets import settings as all_settings

    if find_spec("fastapi") is None or find_spec("uvicorn") is None or find_spec("jinja2") is None:
        raise MissingExtra("serve")
    settings = all_settings.load()
    if results is not None:
        _require_people(results, database)
    if host not in _LOOPBACK and token_file is None:
        raise WrongUsage(
            f"On {printable(host)} everybody in the network could see the photos. Give "
            f"{Field('token_file', 'FILE')} with a password in it."
        )
    token, path = _token(token_file, settings)
    console.detail(f"The token of programs is in {printable(path)}.")

    from facesets.assembly.sessions import open_sessions
    from facesets.web.access import Access, host_names
    from facesets.web.app import create_app
    from facesets.web.background import Jobs
    from facesets.web.crops import CropStore
    from facesets.web.results.app import create_results_app
    from facesets.web.results.site import ResultSite
    from facesets.web.serving import address_of, bound_socket
    from facesets.web.serving import serve as run
    from facesets.web.site import Site

    with ExitStack() as stack:
        bound = bound_socket(host, port)
        jobs = Jobs()
        crops = CropStore(settings.cache_dir / "crops", crop_cache * _MEGABYTE)
        access = Access(token, must_log_in=token_file is not None, hosts=host_names((*name, host)))
        address = address_of(bound)

        def ready() -> None:
            console.out(address)
            if open_:
                with suppress(webbrowser.Error):
                    webbrowser.open(address)

        cookie = f"facesets_{bound.getsockname()[1]}"
        if results is not None:
            app = create_results_app(ResultSite(results.absolute(), crops), access, cookie)
        else:
            sessions = stack.enter_context(open_sessions(database, settings, console, most=_SESSIONS))
            app = create_app(Site(sessions, crops, jobs, settings, current_user()), access, cookie)
        try:
            run(app, bound, when_ready=ready)
        finally:
            jobs.close(_JOBS_END_WITHIN_S)


def _require_people(results: Path, database: str | None) -> None:
    """Make sure that a folder can be shown. Raises `WrongUsage`, or as `read_result`."""
    from facesets.operations.grouping.result_now import read_result

    if database is not None:
        raise WrongUsage(
            f"{Field('results')} shows a folder and {Field('database')} a library. Give one of them."
        )
    read_result(results)


def _token(given: Path | None, settings: "Settings") -> tuple[str, Path]:
    """The token, and the file that holds it; one that nobody gave is made once."""
    path = given or settings.state_dir / "serve-token"
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        if given is not None:
            raise WrongUsage(f"There is no file {printable(path)}. Write a password into it.") from None
        token = secrets.token_urlsafe(24)
        _write_private(path, token)
    except (OSError, ValueError) as error:
        raise CannotWrite(f"{printable(path)} cannot be read: {error}.") from None
    if len(token) < _FEWEST_CHARACTERS:
        raise WrongUsage(
            f"The password in {printable(path)} is too short. Write at least {_FEWEST_CHARACTERS} characters."
        )
    return token, path


def _write_private(path: Path, text: str) -> None:
    """Make a file that nobody else can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
