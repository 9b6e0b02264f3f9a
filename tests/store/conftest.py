"""Stores of both kinds."""

from tests.fixtures.postgres import database, empty_url, library_url, server, template

__all__ = ["database", "empty_url", "library_url", "server", "template"]
