"""Translate database errors into messages for the user."""

import psycopg
from psycopg import errors

from facesets.errors import CannotWrite, Command, FacesetsError, SchemaOutdated, Unreachable, WrongUsage


def refusal(error: psycopg.OperationalError, label: str) -> FacesetsError:
    """Explain a failed connection from libpq's message.

    Only known parts of it are repeated, because it may contain secrets.
    """
    message = str(error)
    if "password authentication failed" in message or "no password supplied" in message:
        return WrongUsage(f"The server rejected the password for {label}. Check user and password.")
    if "does not exist" in message and "database" in message:
        return WrongUsage(f"Database not found: {label}. Create it with `createdb`, or use another.")
    if "role" in message and "does not exist" in message:
        return WrongUsage(f"The server does not know the user for {label}. Check the connection string.")
    if "no pg_hba.conf entry" in message:
        return WrongUsage(
            f"The server does not allow this machine or user to connect to {label}. Check its pg_hba.conf."
        )
    if "No space left" in message:
        return disk_full(label)
    if "too many clients" in message or "remaining connection slots" in message:
        return Unreachable(
            f"All connections of {label} are in use. Close some of the programs that use it, then try again."
        )
    return Unreachable(
        f"Cannot connect to {label}. Check that the server is running, and check host and port."
    )


def disk_full(label: str) -> CannotWrite:
    """Return the error that the server's disk is full."""
    return CannotWrite(f"The disk of {label} is full. Free some space and run the same command again.")


def translated(error: psycopg.Error, label: str) -> FacesetsError | psycopg.Error:
    """Translate a database error for the user; unexpected errors are returned unchanged."""
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.InvalidSchemaName):
        return SchemaOutdated(
            f"The schema of {label} does not match this version of facesets. Run {Command('migrate')}."
        )
    if isinstance(error, errors.DiskFull):
        return disk_full(label)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return WrongUsage(f"{label[0].upper()}{label[1:]} is read-only. Use the primary server.")
    if isinstance(error, errors.InsufficientPrivilege):
        return WrongUsage(f"The database user lacks a permission in {label}: {_first_line(error)}.")
    if isinstance(error, errors.DataCorrupted | errors.IndexCorrupted):
        return FacesetsError(f"PostgreSQL reports that {label} is damaged: {_first_line(error)}.")
    if isinstance(error, errors.QueryCanceled):
        return Unreachable(
            f"{label[0].upper()}{label[1:]} took too long to answer. Request less, or try again when it "
            "is less busy."
        )
    if isinstance(error, psycopg.OperationalError):
        return Unreachable(f"The server of {label} failed: {_first_line(error)}.")
    return error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
