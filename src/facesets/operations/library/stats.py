"""`stats`: totals of the library."""

from dataclasses import replace

from facesets.operations.people.review.questions import waiting
from facesets.store.postgres.library import Library
from facesets.store.postgres.statistics import LibraryStatistics, library_statistics


def stats(library: Library) -> LibraryStatistics:
    """Count everything that is in the library."""
    totals = library.database.run(library_statistics)
    return replace(totals, questions=waiting(library.database))
