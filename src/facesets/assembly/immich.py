"""From settings to an Immich server that can be reached."""

from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import printable, read_regular_file
from facesets.remote.access import Access
from facesets.settings import Settings

_CONNECT_TIMEOUT_S = 10.0


def access_to(
    settings: Settings,
    url: str | None,
    api_key_file: Path | None,
    *,
    connections: int,
    timeout_s: float,
    first_wait_s: float,
    patience_s: float,
) -> Access:
    """How to reach the server that flags or settings name.

    Raises
    ------
    WrongUsage
        They name none, or no key.
    """
    address = url or settings.immich_url
    if not address:
        raise WrongUsage("Which Immich server? Give --url, or set IMMICH_URL.")
    return Access(
        url=address,
        api_key=_key(api_key_file, settings),
        connections=connections,
        timeout_s=timeout_s,
        connect_timeout_s=min(timeout_s, _CONNECT_TIMEOUT_S),
        first_wait_s=first_wait_s,
        patience_s=patience_s,
    )


def _key(path: Path | None, settings: Settings) -> str:
    """Return the key. There is no flag for the key itself: every user of a machine can see flags."""
    if path is not None:
        try:
            return read_regular_file(path, max_bytes=10_000).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUsage(f"Cannot read an API key in {printable(path)}.") from error
    if settings.immich_api_key is None:
        raise WrongUsage("No API key: put it into IMMICH_API_KEY, or into a file and give --api-key-file.")
    return settings.immich_api_key.reveal()
