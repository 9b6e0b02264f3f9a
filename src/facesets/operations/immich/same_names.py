"""Who on an Immich server is called so: by names that are the same however they are written."""

import unicodedata
from collections.abc import Iterable, Iterator

from facesets.remote.immich import Immich
from facesets.remote.immich_records import ServerPerson


def comparable(name: str) -> str:
    """A name without what does not make it another one: case, spacing, ways of encoding."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def people_called(server: Immich, names: Iterable[str]) -> list[ServerPerson]:
    """Everybody on the server who has one of these names, those without any face included.

    A list of people leaves out who is on archived photos only, and a search takes letters as they are
    encoded: so names are searched for in several spellings, and compared here.
    """
    wanted = {comparable(name): name for name in names}
    searches = dict.fromkeys(text for name in wanted.values() for text in _spellings(name))
    found = {person.id: person for text in searches for person in server.search_people(text)}
    return [person for person in found.values() if comparable(person.name) in wanted]


def _spellings(name: str) -> Iterator[str]:
    words = name.split()
    # Words may be further apart on the server: so for the first alone as well.
    for text in (" ".join(words), *words[:1]):
        if text.isascii():
            yield text
            continue
        for spelt in (text, text.casefold(), text.upper()):
            yield unicodedata.normalize("NFC", spelt)
            yield unicodedata.normalize("NFD", spelt)
