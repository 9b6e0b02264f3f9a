"""`facesets import-cache` and `facesets export-cache`."""

from contextlib import nullcontext

from facesets.cli import console
from facesets.cli.opening import work_on_library
from facesets.cli.params import CacheArgument, DatabaseOption
from facesets.errors import WrongUsage
from facesets.operations.options.shared import DryRun
from facesets.words import library as words


def import_cache(
    cache: CacheArgument,
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Bring the images and faces of CACHE into the library; what it has already stays as it is."""
    from facesets.assembly.stores import open_cache
    from facesets.operations.library.transfer import import_cache as run
    from facesets.store.postgres.library import Library

    source = open_cache(cache)
    collection_settings = source.settings
    if collection_settings is None:
        raise WrongUsage(f"There is no cache at {source.label}.")
    with work_on_library(database) as work:
        library = Library(work.session, collection_settings)
        done = run(source, library, dry_run=dry_run, work=work)
    console.show(done, words.transfer(done, label=library.label))
    console.finish()


def export_cache(
    cache: CacheArgument,
    database: DatabaseOption = None,
    dry_run: DryRun = False,
) -> None:
    """Write the images and faces of the library into CACHE, a file to work on anywhere."""
    from facesets.assembly.stores import open_cache
    from facesets.operations.library.transfer import transfer

    target = open_cache(cache)
    with work_on_library(database) as work:
        known = work.library.settings
        if known is None:
            raise WrongUsage(f"There are no faces in {work.session.label} yet. Run `facesets index PHOTOS`.")
        with nullcontext() if dry_run else target.writing(known):
            done = transfer(work.library, target, dry_run=dry_run, work=work)
    console.show(done, words.transfer(done, label=target.label))
    console.finish()
