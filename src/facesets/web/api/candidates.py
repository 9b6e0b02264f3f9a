"""`/candidates`: the suggestions of `people review`, and their answers."""

import threading
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field

from facesets.operations.people.review.answering import Verdict, answer, ask_again, skip
from facesets.operations.people.review.open_questions import Kind, find_question
from facesets.operations.people.review.open_questions import waiting as count_waiting
from facesets.operations.people.review.questions import (
    Question,
    in_words,
    next_questions,
    refresh_questions,
    require_unchanged,
)
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.steps import one_at_a_time
from facesets.store.postgres.photos.images import contents_of_faces
from facesets.web.api.shapes import Into, Name, Of, Shape, Version
from facesets.web.site import Site, SiteDep

router = APIRouter(prefix="/candidates", tags=["candidates"])

_MAX = 100
_LONGEST_ID = 300
QuestionId = Annotated[str, Path(max_length=_LONGEST_ID)]
_looking = threading.Lock()


class ShownFace(Shape):
    """A face and the asset ID of its photo."""

    id: int
    asset_id: str


class ItemShape(Shape):
    """One item of a suggestion; answers refer to it by its number."""

    number: int
    name: str
    person_id: Annotated[UUID | None, Of(lambda item: item.person or None)]
    faces: list[ShownFace]
    settles: Annotated[int, Field(description="Number of faces that an answer corrects or confirms.")]
    cosine_similarity: float
    uncertainty: float
    note: Annotated[str, Field(description="The reason for the suggestion if it is not similarity.")]


class CandidateShape(Shape):
    """A suggestion; accepting it accepts all of its items."""

    id: str
    kind: Kind
    text: str
    person_id: Annotated[UUID, Of("person")]
    person_name: Annotated[str | None, Of(lambda question: question.name if question.has_name else None)]
    called: Annotated[
        str, Of("name"), Field(description="The name, or the beginning of the ID for an unnamed person.")
    ]
    face_count: Annotated[int, Of("of_person")]
    faces: Annotated[list[ShownFace], Field(description="The person's best faces.")]
    nameless_id: Annotated[
        UUID | None,
        Of(lambda question: question.nameless or None),
        Field(description="The unnamed person that `name` and `hide` apply to."),
    ]
    settles: int
    worth: float
    version: int
    items: list[ItemShape]


class Candidates(Shape):
    """The next suggestions, those that settle most faces first."""

    items: list[CandidateShape]


class Waiting(Shape):
    """The number of open suggestions, of unnamed people, and of skipped ones of both."""

    questions: int
    unnamed: int
    skipped: int


class AnswerRequest(Shape):
    """A yes or no answer."""

    but: Annotated[
        Sequence[Annotated[int, Field(ge=1, le=100)]],
        Field(max_length=100, description="Numbers of the items that get the opposite answer."),
    ] = ()
    version: Version = None


Answer = Annotated[AnswerRequest, Body(default_factory=AnswerRequest)]


class NameRequest(Shape):
    """The name of an unnamed person."""

    name: Name
    into: Into = False
    version: Version = None


class HideRequest(Shape):
    """Hide an unnamed person."""

    version: Version = None


class AnsweredShape(Shape):
    """The answer, and the change that `/undo` accepts."""

    id: Annotated[str, Of("question")]
    did: str
    step: int | None


class SkippedShape(Shape):
    """Whether a suggestion is skipped now."""

    id: str
    is_skipped: bool


@router.get("")
def candidates(
    site: SiteDep,
    limit: Annotated[int, Query(ge=1, le=_MAX)] = 20,
    skip: Annotated[list[str] | None, Query(description="Suggestions to leave out.", max_length=200)] = None,
) -> Candidates:
    """List the open suggestions, those that settle most faces first."""
    with site.library() as session:
        questions = next_questions(session, limit, skip or ())
        faces = [face for each in questions for face in _faces_of(each)]
        contents = session.run(contents_of_faces, faces)
    return Candidates(items=[_candidate(each, contents) for each in questions])


@router.get("/waiting")
def waiting(site: SiteDep) -> Waiting:
    """Count the open suggestions."""
    with site.library() as session:
        return Waiting.of(count_waiting(session))


@router.get("/{question}")
def candidate(question: QuestionId, site: SiteDep) -> CandidateShape:
    """Get an open suggestion in its current state."""

    def work(connection: Connection) -> CandidateShape:
        [found] = in_words(connection, [find_question(connection, question)])
        return _candidate(found, contents_of_faces(connection, _faces_of(found)))

    with site.library() as session:
        return session.run(work)


@router.post("/refresh")
def refresh(site: SiteDep) -> Waiting:
    """Look for new suggestions if anything changed; answers need not wait for it."""
    if _looking.acquire(blocking=False):
        try:
            with site.library() as session:
                refresh_questions(Library(session), of_steps=True)
        finally:
            _looking.release()
    return waiting(site)


@router.post("/{question}/accept")
def accept(question: QuestionId, site: SiteDep, asked: Answer) -> AnsweredShape:
    """Accept a suggestion."""
    return _answered(site, question, "yes", asked.version, but=asked.but)


@router.post("/{question}/reject")
def reject(question: QuestionId, site: SiteDep, asked: Answer) -> AnsweredShape:
    """Reject a suggestion."""
    return _answered(site, question, "no", asked.version, but=asked.but)


@router.post("/{question}/name")
def name(question: QuestionId, site: SiteDep, asked: NameRequest) -> AnsweredShape:
    """Name the unnamed person of a suggestion."""
    return _answered(site, question, "name", asked.version, name=asked.name, into=asked.into)


@router.post("/{question}/hide")
def hide(
    question: QuestionId, site: SiteDep, asked: Annotated[HideRequest, Body(default_factory=HideRequest)]
) -> AnsweredShape:
    """Hide the unnamed person of a suggestion."""
    return _answered(site, question, "hide", asked.version)


@router.post("/{question}/skip", summary="Skip")
def skip_question(question: QuestionId, site: SiteDep) -> SkippedShape:
    """Skip a suggestion, also for later visits, until its evidence changes or it is requested again."""
    with site.library() as session:
        skip(session, question)
    return SkippedShape(id=question, is_skipped=True)


@router.post("/{question}/ask-again", summary="Show Again")
def ask_question_again(question: QuestionId, site: SiteDep) -> SkippedShape:
    """Show a skipped suggestion again."""
    with site.library() as session:
        ask_again(session, question)
    return SkippedShape(id=question, is_skipped=False)


@router.post("/ask-again", summary="Show All Again")
def ask_all_again(site: SiteDep) -> Waiting:
    """Show all skipped suggestions again."""
    with site.library() as session:
        ask_again(session)
    return waiting(site)


def _answered(
    site: Site,
    question: str,
    verdict: Verdict,
    version: int | None,
    *,
    but: Sequence[int] = (),
    name: str = "",
    into: bool = False,
) -> AnsweredShape:
    def require(connection: Connection) -> None:
        # A reader of the version waits for a change in progress.
        one_at_a_time(connection)
        require_unchanged(connection, question, version)

    with site.library() as session, session.requiring(require):
        answered = answer(session, question, verdict, by=site.by, but=but, name=name, into=into)
    return AnsweredShape.of(answered)


def _faces_of(question: Question) -> list[int]:
    return [*question.faces, *(face for item in question.items for face in item.faces)]


def _candidate(question: Question, contents: dict[int, str]) -> CandidateShape:
    items = [ItemShape.of(each, faces=_shown(contents, each.faces)) for each in question.items]
    return CandidateShape.of(question, faces=_shown(contents, question.faces), items=items)


def _shown(contents: dict[int, str], faces: Sequence[int]) -> list[ShownFace]:
    return [ShownFace(id=face, asset_id=contents[face]) for face in faces if face in contents]
