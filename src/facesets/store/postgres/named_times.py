"""Photos that only a name dates: by the names under which they lie now."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from facesets.file_records import FileRecord
from facesets.imaging.metadata.names import day_of_folder, time_in_name
from facesets.imaging.metadata.times import Taken
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.photo_metadata import let_images_follow, short_text


def follow_names(connection: Connection, files: Sequence[FileRecord], new: Collection[str]) -> None:
    """Date photos that were moved, renamed or copied by their new names, where their files say nothing.

    A date stays where a name still says it, and where none says any. Nothing is read.

    Parameters
    ----------
    files : sequence of FileRecord
        What was stored now.
    new : collection of str
        Contents that nobody knew before, and that were dated by the first of their names.
    """
    seen = Counter(file.sha256 for file in files if not file.reason)
    contents = [sha256 for sha256, times in seen.items() if times > 1 or sha256 not in new]
    if not contents:
        return
    rows = connection.execute(
        """SELECT i.id, m.taken, m.taken_from, now() AT TIME ZONE 'UTC', array_agg(p.path ORDER BY p.id)
            FROM images i JOIN photo_metadata m ON m.image_id = i.id
                JOIN image_paths p ON p.image_id = i.id AND p.reason = ''
            WHERE i.sha256 = ANY(%s) AND m.taken_from IN ('', 'mtime', 'file name', 'folder name')
            GROUP BY i.id, m.taken, m.taken_from""",
        (contents,),
    ).fetchall()
    for image, taken, source, now, paths in rows:
        times = _times_in_names([from_text(path) for path in paths], np.datetime64(now, "us"))
        if times and (source, taken) not in [(each.source, each.time.item()) for each in times]:
            _redate(connection, image, times[0])


def _times_in_names(paths: Sequence[str], now: np.datetime64) -> list[Taken]:
    """What the names of files say, where none says anything those of folders."""
    for name in (time_in_name, day_of_folder):
        found = [taken for path in paths if (taken := name(path, latest=now)).text]
        if found:
            return found
    return []


def _redate(connection: Connection, image: int, taken: Taken) -> None:
    connection.execute(
        """UPDATE photo_metadata SET taken = %s, taken_from = %s, taken_text = %s, utc_offset_min = %s
            WHERE image_id = %s""",
        (taken.time.item(), taken.source, short_text(taken.text), taken.utc_offset_min, image),
    )
    let_images_follow(connection, [image])
