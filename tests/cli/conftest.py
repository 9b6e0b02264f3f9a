"""What tests of the command line begin with."""

from collections.abc import Callable

import pytest

from tests.fixtures.program import Result, run


@pytest.fixture
def facesets(library_url: str) -> Callable[..., Result]:
    """Runs a command on a library of the test's own, to the end that is expected of it."""

    def call(*words: object, status: int = 0, **env: str) -> Result:
        result = run(*words, env={"DATABASE_URL": library_url, **env})
        assert result.status == status, result.err
        return result

    return call
