"""What `facesets index` refuses before it looks at a photo."""

from collections.abc import Callable
from pathlib import Path

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import add_faces, cluster, heart_of
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.made_metadata import METADATA, keep
from tests.fixtures.program import Result


def test_index_downloads_no_pack_that_it_would_refuse(
    database: Database, facesets: Callable[..., Result], tmp_path: Path
) -> None:
    library = Library(database, SETTINGS)
    add_faces(library, {"anna": heart_of("anna"), "anna again": heart_of("anna")})
    cluster(library)
    (tmp_path / "a.jpg").write_bytes(b"a photo")
    line = ("index", tmp_path, "--pack", "open", "--skip-clip")
    refused = facesets(*line, status=2, FACESETS_MODELS=str(tmp_path), HOME=str(tmp_path))
    assert "open is not downloaded" in refused.err
    assert not (tmp_path / "models").exists()


def test_a_single_stage_refuses_flags_without_effect(
    database: Database, facesets: Callable[..., Result]
) -> None:
    keep(Library(database, SETTINGS), METADATA)
    for flags, expected in (
        ("--prune --include *.jpg", "--include and --prune cannot be combined with --stage"),
        ("--assign", "--assign cannot be combined with --stage"),
        ("--delete --target /photos", "--target cannot be combined with --delete"),
        ("--delete /photos", "DIR cannot be combined with --delete"),
    ):
        assert expected in facesets("index", "--stage", "attributes", *flags.split(), status=2).err
    obeyed = ("--stage", "metadata", "--dry-run", "--alone", "--strict")
    facesets("index", *obeyed, FACESETS_INDEX_PRUNE="1")
