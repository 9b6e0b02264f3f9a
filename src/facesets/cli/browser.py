"""Show a link in the user's browser."""

import html
import os
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

from facesets.cli import console
from facesets.file_system import patiently

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
    """What opens a link in the browser, without waiting for it.

    Parameters
    ----------
    secrets : Path or None
        A folder for a file that only its owner can read, and that leads the browser on: what a program is
        started with, all accounts of the machine can see. For links without a token None.
    """
    if secrets is None:
        yield partial(_aside, partial(_open, link))
        return
    # Browsers that are snaps, as Ubuntu has them, read nothing in hidden folders.
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
    # A browser in a terminal would run until somebody leaves it.
    threading.Thread(target=work, daemon=True).start()


def _lead(page: Path) -> None:
    """Open a page that leads on, and remove it once the browser has had the time to read it."""
    if _open(page.as_uri()):
        time.sleep(_READ_WITHIN_S)
    _remove(page)


def _remove(page: Path) -> None:
    # A browser of Windows that has it open keeps it; the next run removes it.
    with suppress(OSError):
        patiently(os.unlink, page)


def _sweep(folder: Path) -> None:
    """Remove the pages that killed runs left behind."""
    for page in folder.glob(f"{_PREFIX}????????.html"):
        with suppress(OSError):
            if time.time() - page.stat().st_mtime > _READ_WITHIN_S:
                _remove(page)


def _open(address: str) -> bool:
    with suppress(webbrowser.Error):
        if webbrowser.open(address):
            return True
    console.remark("No browser could be opened: open the address above in one.")
    return False
