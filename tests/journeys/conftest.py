"""Fresh libraries for journeys through the real command."""

from tests.fixtures.postgres import data_home, database, empty_url, library_url, server, template

__all__ = ["data_home", "database", "empty_url", "library_url", "server", "template"]
