"""What the errors of a server mean for the user."""

import psycopg
from psycopg import errors

from facesets.errors import CannotWrite, Command, FacesetsError, SchemaOutdated, Unreachable, WrongUsage


def refusal(error: psycopg.OperationalError, label: str) -> FacesetsError:
    """Why there is no connection, from what libpq says.

    Only known parts of that are repeated: it may hold secrets.
    """
    said = str(error)
    if "password authentication failed" in said or "no password supplied" in said:
        return WrongUsage(f"The server refuses the password for {label}. Check user and password.")
    if "does not exist" in said and "database" in said:
        return WrongUsage(f"There is no such database: {label}. Create it with `createdb`, or name another.")
    if "role" in said and "does not exist" in said:
        return WrongUsage(f"The server does not know the user for {label}. Check the connection string.")
    if "no pg_hba.conf entry" in said:
        return WrongUsage(f"The server does not let this machine or user connect to {label} (pg_hba.conf).")
    if "No space left" in said:
        return disk_full(label)
    if "too many clients" in said or "remaining connection slots" in said:
        return Unreachable(
            f"All connections of {label} are in use. End some of the programs that use it, then try again."
        )
    return Unreachable(f"Cannot reach {label}. Is the server running, and are host and port right?")


def disk_full(label: str) -> CannotWrite:
    """What to say when a server has no space left."""
    return CannotWrite(f"The disk of {label} is full. Free some space and run the same command again.")


def translated(error: psycopg.Error, label: str) -> FacesetsError | psycopg.Error:
    """What a database error means for the user; a bug of ours comes back as it is."""
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.InvalidSchemaName):
        return SchemaOutdated(f"The schema of {label} does not fit this program. Run {Command('migrate')}.")
    if isinstance(error, errors.DiskFull):
        return disk_full(label)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return WrongUsage(f"{label[0].upper()}{label[1:]} is read-only. Name the primary server.")
    if isinstance(error, errors.InsufficientPrivilege):
        return WrongUsage(f"The database user lacks a right in {label}: {_first_line(error)}.")
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
        return FacesetsError(f"PostgreSQL says that {label} is damaged: {_first_line(error)}.")
    if isinstance(error, errors.QueryCanceled):
        return Unreachable(f"That took {label} too long. Ask for less, or try again when it has less to do.")
    if isinstance(error, psycopg.OperationalError):
        return Unreachable(f"The server of {label} gave up: {_first_line(error)}.")
    return error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
