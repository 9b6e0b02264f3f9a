"""`stats`: totals of the library."""

from facesets.store.postgres.library import Library
from facesets.store.postgres.statistics import LibraryStatistics, library_statistics


def stats(library: Library) -> LibraryStatistics:
    """Count everything that is in the library."""
    return library.database.run(library_statistics)
