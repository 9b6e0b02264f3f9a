"""The suggestions of `people review`, worded, the most useful first.

Uncertain matches are stored as pairs; those of one person are shown together. An unnamed person is a
suggestion, too, which is derived rather than stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from facesets.ages import about
from facesets.errors import Changed
from facesets.files import printable
from facesets.formats.named_photos import PROGRAMS
from facesets.operations.people.corrections.lookup import called
from facesets.operations.people.review.finding import find_all_suggestions, find_people_suggestions
from facesets.operations.people.review.open_questions import (
    Kind,
    UnwordedQuestion,
    find_question,
    open_questions,
)
from facesets.plurals import counted
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.assigned_faces import load_assigned_faces
from facesets.store.postgres.people.person_faces import best_faces_of_cluster
from facesets.store.postgres.people.persons import (
    PersonState,
    exemplars_of_people,
    person_states,
    versions_of_people,
)
from facesets.store.postgres.people.suggestions import FaceCandidate, last_suggestion_search
from facesets.store.postgres.people.traces import FaceOwner, owners

_SHOWN = 6
_LOOKED_AT = 300


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a suggestion.

    Attributes
    ----------
    number : int
        The number used in answers, from 1.
    name : str
        The name of the item.
    person : str
        The id, if it is a person; else empty.
    faces : list of int
        Numbers of faces that show it.
    settles : int
        Number of faces that an answer corrects or confirms.
    cosine_similarity : float
        Mean similarity with the faces of the suggestion's person.
    uncertainty : float
        Likelihood, from 0 to 1, that an answer changes an assignment.
    note : str
        The reason, if other than similarity; else empty.
    """

    number: int
    name: str
    person: str
    faces: list[int]
    settles: int
    cosine_similarity: float
    uncertainty: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A suggestion, answered by yes or no for all items or each; of kind `name`, by a name.

    Attributes
    ----------
    id : str
        The id for the answer, while it is open.
    text : str
        The question in words.
    person, name : str
        The person it is about.
    has_name : bool
        Whether a user gave that name.
    of_person : int
        Number of the person's faces.
    faces : list of int
        Numbers of the best faces.
    nameless : str
        The person who gets a name given in the answer; empty if all have one, or several have none.
    settles : int
        Number of faces that an answer settles.
    worth : float
        The expected number of faces that an answer corrects; the sort key.
    version : int
        The latest step about any person in the question; 0 before the first.
    """

    id: str
    kind: Kind
    text: str
    person: str
    name: str
    has_name: bool
    of_person: int
    faces: list[int]
    nameless: str
    settles: int
    worth: float
    version: int = 0
    items: list[Item] = field(default_factory=list)


def refresh_questions(library: Library, *, of_steps: bool = False) -> None:
    """Search for suggestions as far as needed: for all if the library was never searched.

    Parameters
    ----------
    of_steps : bool
        See `find_people_suggestions`; fast enough between two answers.

    Raises
    ------
    WrongUsage
        Nothing was indexed yet.
    """
    database = library.database
    detector = database.run(library.require_detector)
    if database.run(last_suggestion_search, detector.model_id) is None:
        find_all_suggestions(database, detector, database.run(load_assigned_faces, detector))
    find_people_suggestions(database, detector, of_steps=of_steps)


def next_questions(database: Database, limit: int = 20, skipped: Sequence[str] = ()) -> list[Question]:
    """Return the open suggestions, the most useful first.

    Parameters
    ----------
    skipped : sequence of str
        Ids of suggestions to omit.
    """
    put_off = set(skipped)

    def work(connection: Connection) -> list[Question]:
        first: list[UnwordedQuestion] = []
        # Usually these are enough.
        for most in (_LOOKED_AT, None):
            suggestions = (each for each in open_questions(connection, most=most) if each.id not in put_off)
            first = list(islice(suggestions, limit))
            if len(first) == limit:
                break
        return in_words(connection, first)

    return database.run(work)


def in_words(connection: Connection, suggestions: Sequence[UnwordedQuestion]) -> list[Question]:
    """Return suggestions as they are shown."""
    persons = list({person for each in suggestions for person in _people(each)})
    known = _Known(
        person_states(connection, persons),
        versions_of_people(connection, persons),
        exemplars_of_people(connection, persons, _SHOWN),
    )
    return [_in_words(connection, each, known) for each in suggestions]


@dataclass(frozen=True, slots=True)
class _Known:
    """The data of people in questions, by their ids."""

    states: dict[UUID, PersonState]
    versions: dict[UUID, int]
    faces: dict[UUID, list[int]]


def _people(suggestion: UnwordedQuestion) -> list[UUID]:
    return [suggestion.person, *(other for _, other in suggestion.of_people if other is not None)]


def _in_words(connection: Connection, suggestion: UnwordedQuestion, known: _Known) -> Question:
    people = [known.states[person] for person in _people(suggestion)]
    state = people[0]
    items = list(_items(connection, suggestion, known))
    without = [each.id for each in people if not each.names]
    return Question(
        id=suggestion.id,
        kind=suggestion.kind,
        text=_text(suggestion, called(state), items, state.faces),
        person=str(state.id),
        name=called(state),
        has_name=bool(state.names),
        of_person=state.faces,
        faces=known.faces[state.id],
        nameless=str(without[-1]) if len(without) == 1 else "",
        settles=sum(each.settles for each in items) or state.faces,
        worth=round(suggestion.worth, 3),
        version=max(known.versions[each.id] for each in people),
        items=items,
    )


def require_unchanged(connection: Connection, question: str, version: int | None) -> None:
    """Make sure that no person in an open suggestion changed since it was seen.

    Raises
    ------
    Changed
        A person changed.
    NotFound
        The suggestion is no longer open.
    """
    suggestion = find_question(connection, question)
    if version is not None and max(versions_of_people(connection, _people(suggestion)).values()) != version:
        raise Changed("A person in this suggestion was changed in the meantime. Reload it, then answer.")


def _items(connection: Connection, suggestion: UnwordedQuestion, known: _Known) -> Iterator[Item]:
    imported = owners(connection, [each.face for each in suggestion.of_faces if each.kind == "import"])
    for number, face in enumerate(suggestion.of_faces, start=1):
        yield Item(
            number=number,
            name=f"face {face.face}",
            person="",
            faces=[face.face],
            settles=1,
            cosine_similarity=round(face.cosine_similarity, 4),
            uncertainty=round(face.uncertainty, 4),
            note=_other_program(face, imported[face.face]) if face.face in imported else _ages(face),
        )
    for number, (each, other) in enumerate(suggestion.of_people, start=1):
        if other is not None:
            name, faces = called(known.states[other]), known.faces[other]
        elif each.cluster is not None:
            name, faces = printable(each.cluster), best_faces_of_cluster(connection, each.cluster, _SHOWN)
        else:
            name, faces = counted(len(each.part), "face"), list(each.part[:_SHOWN])
        yield Item(
            number=number,
            name=name,
            person="" if other is None else str(other),
            faces=faces,
            settles=each.faces,
            cosine_similarity=round(each.cosine_similarity, 4),
            uncertainty=round(each.uncertainty, 4),
        )


def _other_program(face: FaceCandidate, owner: FaceOwner) -> str:
    owner_name = (
        printable(owner.name) if owner.name else "an unnamed person" if owner.person else "unassigned"
    )
    return f"{PROGRAMS.get(face.program or '', 'Another program')} has this name; here it is {owner_name}"


def _ages(face: FaceCandidate) -> str:
    if face.age is None or face.expected is None:
        return ""
    then = (
        f"expected about {face.expected:.0f}"
        if face.expected >= 0
        else "but the photo was taken before the birth"
    )
    return f"looks {about(face.age)}, {then}"


def _text(suggestion: UnwordedQuestion, name: str, items: Sequence[Item], faces: int) -> str:
    """Return the question in words, so that yes means the same for each item."""
    one = items[0].name if items else ""
    several = len(items) > 1
    number = len(items)
    texts: dict[Kind, str] = {
        "near": f"Are these {number} faces {name}?" if several else f"Is {one} {name}?",
        "far": f"Are these {number} faces really {name}?" if several else f"Is {one} really {name}?",
        "age": f"Are these {number} faces really {name}? Their estimated ages do not fit."
        if several
        else f"Is {one} really {name}? The face {items[0].note if items else ''}.",
        "import": f"Are these {number} faces {name}, as named by other programs?"
        if several
        else f"Is {one} {name}? {items[0].note if items else ''}.",
        "same": f"Are these {number} people all {name}?"
        if several
        else f"Are {one} and {name} the same person?",
        "split": f"Is {name} two people? {one} of {faces} may be another person.",
        "cluster": f"Are these {number} clusters {name}?" if several else f"Is cluster {one} {name}?",
        "name": f"Who is {name} ({counted(faces, 'face')})?",
    }
    return texts[suggestion.kind]
