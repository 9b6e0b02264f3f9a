"""`doctor` for the library's database: whether commands can use it."""

from collections.abc import Callable
from pathlib import Path

from facesets.errors import Command, FacesetsError, SchemaOutdated, Sentence, Unreachable, WrongUsage
from facesets.files import printable
from facesets.operations.library.stats import norms_finding
from facesets.operations.models.finding import DoctorFinding
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import shipped_migrations, status, vector_version
from facesets.store.postgres.queue import schema as queue
from facesets.store.postgres.server.contents import privileges_of
from facesets.store.postgres.server.embedded import EmbeddedServer
from facesets.store.postgres.server.programs import check_version

_MIN_SERVER = 15
_SUBJECT = "database"


def look_at(text: str) -> list[DoctorFinding]:
    """Check a database given by a connection string."""
    try:
        database = Database(text)
    except FacesetsError as error:
        return [DoctorFinding(_SUBJECT, "problem", error.sentence)]
    with opened(database):
        return _findings(database, database.label)


def look_at_embedded(server: EmbeddedServer, directory: Path, label: str) -> list[DoctorFinding]:
    """Check the embedded server, and its database only if the server runs."""
    try:
        version = check_version(directory / "data", server.programs())
    except FacesetsError as error:
        return [DoctorFinding(_SUBJECT, "problem", error.sentence)]
    place = f"the embedded server in {printable(directory)}"
    try:
        database = Database(server.conninfo, label=label)
    except Unreachable:
        stopped = f"PostgreSQL {version}, {place}; not running, commands start it"
        return [DoctorFinding(_SUBJECT, "ok", stopped)]
    except FacesetsError as error:
        return [DoctorFinding(_SUBJECT, "problem", error.sentence)]
    with opened(database):
        return _findings(database, f"{place}, running", migrates_itself=True)


def _findings(database: Database, place: str, *, migrates_itself: bool = False) -> list[DoctorFinding]:
    findings = [
        _finding(_SUBJECT, lambda: _server(database, place)),
        _finding("extension vector", lambda: _extension(database)),
        _finding("schema", lambda: _schema(database, migrates_itself=migrates_itself)),
        _finding("rights", lambda: _rights(database)),
    ]
    if findings[2].level == "ok":
        findings.append(_finding("library", lambda: norms_finding(Library(database))))
    if queue.is_installed():
        findings.append(_finding("job queue", lambda: _queue(database)))
    return [finding for finding in findings if finding.state]


def _finding(subject: str, look: Callable[[], DoctorFinding | str]) -> DoctorFinding:
    try:
        found = look()
    except FacesetsError as error:
        return DoctorFinding(subject, "problem", error.sentence)
    return DoctorFinding(subject, "ok", found) if isinstance(found, str) else found


def _server(database: Database, place: str) -> str:
    version = database.run(lambda connection: connection.info.server_version)
    name = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version // 10_000 < _MIN_SERVER:
        raise WrongUsage(
            f"{place} is {name}, but facesets needs PostgreSQL {_MIN_SERVER} or later with pgvector "
            "0.7 or later. Upgrade the server, or use another."
        )
    return f"{name} ({_MIN_SERVER} or later is needed), {place}"


def _extension(database: Database) -> DoctorFinding | str:
    version = database.run(vector_version)
    if version.startswith("0.7"):
        state = f"pgvector {version}; 0.8 or later finds more in filtered searches on large libraries"
        return DoctorFinding("extension vector", "note", state)
    return f"pgvector {version} (0.7 or later is needed)"


def _schema(database: Database, *, migrates_itself: bool) -> DoctorFinding | str:
    states = status(database, shipped_migrations())
    pending = sum(not state.applied_at for state in states)
    if not pending:
        return f"up to date ({len(states)} migrations)"
    if migrates_itself:
        state = f"{pending} of {len(states)} migrations pending; the next command applies them"
        return DoctorFinding("schema", "note", state)
    raise SchemaOutdated(
        f"{pending} of {len(states)} migrations pending. Run {Command('migrate')}."
        if pending < len(states)
        else f"There is no library in {database.label}. Create one with {Command('migrate')}."
    )


def _queue(database: Database) -> str:
    if not database.run(queue.is_made):
        return ""
    queue.require_queue(database)
    return "up to date"


def _rights(database: Database) -> DoctorFinding | str:
    found = database.run(privileges_of, shipped_migrations())
    if found.is_read_only:
        raise WrongUsage(f"{database.label} is read-only. Use the primary server.")
    if found.forbidden:
        of_all = f"IN SCHEMA {found.schema or 'public'} TO {found.user};"
        raise WrongUsage(
            f"The user {found.user} may not read and change all tables and sequences of the library (such as "
            f"{found.forbidden[0]}). Have {' and '.join(found.owners) or 'their owner'} run `GRANT SELECT, "
            f"INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES {of_all} GRANT USAGE, SELECT, UPDATE ON ALL "
            f"SEQUENCES {of_all}`."
        )
    if not found.schema:
        raise WrongUsage(
            f"The search path of the user {found.user} names no schema that is there. Have the database's "
            f"owner run `ALTER ROLE {found.user} SET search_path = public;`."
        )
    if not found.may_create:
        missing = (
            f"The user {found.user} may make no tables in the schema {found.schema}. Have its owner run "
            f"`GRANT CREATE ON SCHEMA {found.schema} TO {found.user};`."
        )
        return DoctorFinding("rights", "note" if found.tables else "problem", missing)
    if found.owners:
        others = (
            f"The user {found.user} can use but not migrate the library. After upgrades, the owner of "
            f"its tables, {' and '.join(found.owners)}, has to run {Command('migrate')}."
        )
        return DoctorFinding("rights", "note", Sentence(others))
    return f"the user {found.user} can use and migrate the library"
