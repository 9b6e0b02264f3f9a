"""The journal of a cache: small files with the results since the cache file was written.

A flush writes one new file and touches no other, so its cost does not depend on the cache. Now and
then many small ones are merged into one, so that their number stays low. If the process is killed in
between, reading the parts again gives the same result.
"""

from collections.abc import Sequence
from pathlib import Path

from facesets.file_system import patiently
from facesets.files import atomic_write, sweep_temporaries, writing
from facesets.rights import make_private_folder
from facesets.store.npz.columns import Column, write_columns
from facesets.store.npz.merge import plan, write_merged
from facesets.store.npz.schema import Part, face_arrays, image_arrays, read_part, small_arrays

_GATHER_AT = 16
_GATHERED = "g"


class CacheJournal:
    """The directory `<cache>.journal` beside a cache file. It exists only while there is need."""

    def __init__(self, cache: Path) -> None:
        """Name the journal of this cache; nothing is read or written yet."""
        self.directory = cache.with_name(cache.name + ".journal")

    def paths(self) -> list[Path]:
        """The journal files, oldest first."""
        return sorted(self.directory.glob("[0-9]*.npz"))

    def append(self, part: Part) -> None:
        """Add a part, durably. Raises `CannotWrite`."""
        paths = self.paths()
        number = int(paths[-1].stem.removesuffix(_GATHERED)) + 1 if paths else 1
        arrays = (
            small_arrays(part.settings, part.files, part.identity) | image_arrays(part) | face_arrays(part)
        )
        with writing(self.directory):
            make_private_folder(self.directory)
        with atomic_write(self.directory / f"{number:08d}.npz") as file:
            write_columns(file, {name: Column.of(array) for name, array in arrays.items()})
        small = [path for path in paths if not path.stem.endswith(_GATHERED)]
        if len(small) >= _GATHER_AT:
            self._gather(small)

    def _gather(self, small: Sequence[Path]) -> None:
        merged = plan([read_part(path) for path in small])
        # Sorted after its last member, so that members left by a kill are overruled, not overruling.
        with atomic_write(small[-1].with_name(f"{small[-1].stem}{_GATHERED}.npz")) as file:
            write_merged(file, merged)
        self.remove(small)

    def remove(self, paths: Sequence[Path]) -> None:
        """Remove files whose content was folded into the cache, and the directory once empty.

        The newest is removed first: if the process is killed, the oldest ones remain, in order.
        """
        with writing(self.directory):
            for path in reversed(paths):
                patiently(Path.unlink, path, missing_ok=True)
            if self.directory.is_dir():
                for path in self.directory.glob("*.npz"):
                    sweep_temporaries(path)
                if not any(self.directory.iterdir()):
                    self.directory.rmdir()
