"""What `facesets index` refuses before it looks at a photo."""

from pathlib import Path

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import add_faces, cluster, heart_of
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.made_metadata import METADATA, keep
from tests.fixtures.program import run


def test_index_fetches_no_pack_that_it_would_refuse(
    database: Database, library_url: str, tmp_path: Path
) -> None:
    library = Library(database, SETTINGS)
    add_faces(library, {"anna": heart_of("anna"), "anna again": heart_of("anna")})
    cluster(library)
    (tmp_path / "a.jpg").write_bytes(b"a photo")
    env = {"DATABASE_URL": library_url, "FACESETS_MODELS": str(tmp_path), "HOME": str(tmp_path)}
    refused = run("index", tmp_path, "--pack", "open", "--skip-clip", env=env)
    assert (refused.status, "open is another, so it is not fetched" in refused.err) == (2, True)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--prune", "--include", "*.jpg"], "--include and --prune cannot be given together with --stage"),
        (["--assign"], "--assign cannot be given together with --stage"),
        (["--delete", "--target", "/photos"], "--target cannot be given together with --delete"),
        (["--delete", "/photos"], "DIR cannot be given together with --delete"),
    ],
)
def test_a_stage_by_itself_refuses_flags_that_it_would_not_obey(
    database: Database, library_url: str, flags: list[str], said: str
) -> None:
    keep(Library(database, SETTINGS), METADATA)
    refused = run("index", "--stage", "attributes", *flags, env={"DATABASE_URL": library_url})
    assert (refused.status, said in refused.err) == (2, True), refused.err
    obeyed = run(
        "index",
        *("--stage", "metadata", "--dry-run", "--alone", "--strict"),
        env={"DATABASE_URL": library_url, "FACESETS_INDEX_PRUNE": "1"},
    )
    assert obeyed.status == 0, obeyed.err
