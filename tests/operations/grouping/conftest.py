"""Results of made-up people."""

from tests.fixtures.results import again, company, store

__all__ = ["again", "company", "store"]
