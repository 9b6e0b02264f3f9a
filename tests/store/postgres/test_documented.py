"""The manual's list of tables."""

import re
from pathlib import Path

from facesets.store.postgres.connection import Database
from tests.fixtures.library_people import rows

MANUAL = Path(__file__).parents[3] / "docs/library.md"


def test_the_manual_names_all_tables_and_no_others(database: Database) -> None:
    _, _, tables = MANUAL.read_text(encoding="utf-8").partition("## Tables\n")
    listed = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    named = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    query = """SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
        UNION SELECT viewname FROM pg_views WHERE schemaname = current_schema()"""
    there = {name for (name,) in rows(database, query)}
    assert named == there - {"schema_migrations"}
