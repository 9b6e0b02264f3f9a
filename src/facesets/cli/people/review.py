"""`facesets people review | answer`: suggestions, reviewed one at a time."""

import dataclasses
import json
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesets.cli import console
from facesets.cli.opening import current_user, opened_session
from facesets.cli.params import DatabaseOption
from facesets.cli.terminal import is_typing_on, read_key, read_name
from facesets.cli.wording import worded
from facesets.errors import FacesetsError, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import corrections as words
from facesets.words.phrases import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.cli.people.face_picture import ShownFaces
    from facesets.operations.people.review.answering import Verdict
    from facesets.operations.people.review.questions import Question
    from facesets.store.postgres.connection import Database

_REFRESHED_EVERY = 20
"""Number of answers after which suggestions are fetched again: changed people may resemble others."""

_LISTED = 20
_IN_JSON = 100
_ALONE = frozenset("hsuoq")
"""Keys that are actions in the name field if pressed alone, also with Enter after them."""
_TYPED: "dict[str, Verdict]" = {"y": "yes", "n": "no"}


def review(
    database: DatabaseOption = None,
    limit: Annotated[
        int | None,
        Option("Without a terminal: maximum number of suggestions.", least=1, unset="20, with --json 100"),
    ] = None,
    skipped: Annotated[bool, Option("Also show skipped suggestions.")] = False,
) -> None:
    """Review suggestions: one question at a time.

    The most useful suggestion comes first. One key answers it, and each answer is saved at once, as one
    change. Skipped suggestions return only if their evidence changes. Without a terminal the suggestions are
    listed, with --json as lines of JSON; answer them with `people answer`.
    """
    from facesets.cli.people.face_picture import showing_faces
    from facesets.operations.people.review.answering import ask_again
    from facesets.operations.people.review.questions import next_questions, refresh_questions
    from facesets.store.postgres.library import Library

    asks = sys.stdin.isatty() and sys.stdout.isatty() and not console.session.json
    with opened_session(database) as session:
        refresh_questions(Library(session))
        if skipped:
            ask_again(session)
        if asks:
            with showing_faces() as faces:
                _Review(session, faces).run()
        elif console.session.json:
            for question in next_questions(session, limit or _IN_JSON):
                console.out(json.dumps(dataclasses.asdict(question)))
        else:
            _list(session, limit or _LISTED)


def _list(database: "Database", limit: int) -> None:
    """List the first suggestions, a line each, and their number."""
    from facesets.operations.people.review.open_questions import waiting
    from facesets.operations.people.review.questions import next_questions

    found = next_questions(database, limit)
    count = waiting(database)
    if not found:
        console.out(worded(f"No suggestions to review.{_again(count.skipped)}"))
        return
    rows = [(each.settles, printable(each.text), each.id) for each in found]
    console.out(table(("faces", "question", "id"), rows))
    waits = counted(count.questions + count.unnamed, "suggestion")
    console.notice(
        f"{len(found)} of {waits}. To see the faces, use a terminal or `facesets serve --open`. In a script, "
        "answer with `facesets people answer ID yes`, `no` or `--name NAME`."
    )


def _again(skipped: int) -> str:
    """Return how to review skipped suggestions again."""
    waiting = counted(skipped, "skipped suggestion")
    return f" To review {waiting}, run `facesets people review --skipped`." if skipped else ""


class _Review:
    """One review session at the terminal."""

    def __init__(self, database: "Database", faces: "ShownFaces") -> None:
        self._database = database
        self._faces = faces
        self._skipped = 0
        self._done: list[int | str] = []
        """Steps made and questions skipped, the latest last."""
        self._given = 0

    def run(self) -> None:
        """Ask until no suggestion is left, or the user quits."""
        from facesets.operations.people.review.open_questions import waiting
        from facesets.operations.people.review.questions import next_questions, refresh_questions
        from facesets.store.postgres.library import Library

        while True:
            if self._given and self._given % _REFRESHED_EVERY == 0:
                refresh_questions(Library(self._database), of_steps=True)
            found = next_questions(self._database, 1)
            if not found:
                skipped = waiting(self._database).skipped
                console.out(worded(f"No suggestions left to review. {self._count()}{_again(skipped)}"))
                return
            self._show(found[0])
            if not self._take_answer(found[0]):
                console.out(self._count())
                return

    def _count(self) -> str:
        skipped = f", {self._skipped} skipped" if self._skipped else ""
        listed = " List them with `facesets people log`." if self._given else ""
        return f"{counted(self._given, 'answer')} saved{skipped}.{listed}"

    def _show(self, question: "Question") -> None:
        from facesets.operations.people.review.question_sheet import draw_question

        self._faces.show(draw_question(self._database, question))
        console.out(f"\n{question.text}   (settles {counted(question.settles, 'face')})")
        if self._faces.where:
            console.out(self._faces.where)
        for item in question.items:
            similarity = item.note or f"similarity {item.cosine_similarity:.2f}"
            console.out(
                f"  {item.number}  {printable(item.name)}, {counted(item.settles, 'face')}, {similarity}"
            )
        console.out(f"  {self._keys(question)}")

    def _keys(self, question: "Question") -> str:
        """Return the keys that answer a question."""
        if question.kind == "name":
            keys = [
                "Type the name ([n] first, if it begins with a small h, s, u, o or q)",
                "[h]ide",
            ]
        elif len(question.items) > 1:
            keys = ["[y]es, all", "[n]o, none", f"[1-{len(question.items)}] all except this one"]
        else:
            keys = ["[y]es", "[n]o"]
        if question.nameless and question.kind != "name":
            name = "" if question.nameless == question.person else f" {question.items[0].name}"
            keys += [f"[w] name{name}", "[h]ide"]
        keys += ["[s]kip", "[o]pen faces"] if self._faces.can_open else ["[s]kip"]
        return "  ".join([*keys, "[u]ndo", "[q]uit"])

    def _take_answer(self, question: "Question") -> bool:
        """Read keys until the question is answered or skipped; False to end."""
        but: list[int] = []
        numbers = [str(item.number) for item in question.items if len(question.items) > 1]
        while key := read_key():
            is_name = question.kind == "name" and _begins_name(key)
            name = _read_name("" if key == "n" and not is_typing_on() else key) if is_name else ""
            if is_name and not (name == key and key in _ALONE):
                is_done = self._answered(question, partial(self._named, question, name))
            elif key == "q":
                return False
            elif key in numbers:
                but = sorted({int(key)} ^ set(but))
                console.out(f"  all except {', '.join(map(str, but))}" if but else "  all the same answer")
                continue
            elif key in {"s", "u", "o"}:
                is_done = self._put_off(question, key)
            else:
                is_done = self._answered(question, partial(self._by_key, question, key, but))
            if is_done:
                return True
        return False

    def _put_off(self, question: "Question", key: str) -> bool:
        """Handle a key that gives no answer; return whether another question comes, or this one again."""
        if key == "s":
            return self._skip(question)
        if key == "u":
            return self._undo()
        if self._faces.can_open:
            self._faces.open()
        return False

    def _answered(self, question: "Question", give: "Callable[[], Result | None]") -> bool:
        """Store an answer; False if there is none, or it is refused."""
        try:
            answered = give()
        except FacesetsError as error:
            is_open = self._is_open(question)
            console.out(
                f"  {worded(f'{error}')}" if is_open else "  This was answered elsewhere in the meantime."
            )
            return not is_open
        if answered is None:
            return False
        self._given += 1
        if answered.step is not None:
            self._done.append(answered.step)
        console.out(f"  saved: {answered.did}")
        return True

    def _is_open(self, question: "Question") -> bool:
        """Whether the question was not answered elsewhere."""
        from facesets.operations.people.review.open_questions import find_question

        try:
            self._database.run(find_question, question.id)
        except WrongUsage:
            return False
        return True

    def _by_key(self, question: "Question", key: str, but: list[int]) -> Result | None:
        """Return the answer that a key gives, if any."""
        if key == "w" and question.nameless and question.kind != "name":
            return self._named(question, _read_name())
        if key in _TYPED and question.kind != "name":
            return self._answer(question, _TYPED[key], but)
        if key == "h" and question.nameless:
            return self._answer(question, "hide", [])
        console.out(f"  {self._keys(question)}")
        return None

    def _answer(
        self, question: "Question", verdict: "Verdict", but: list[int], name: str = "", *, into: bool = False
    ) -> Result:
        from facesets.operations.people.review.answering import answer as run

        return run(self._database, question.id, verdict, by=current_user(), but=but, name=name, into=into)

    def _named(self, question: "Question", name: str) -> Result | None:
        """Give a name, or another one if a person has it; None if the user gives none."""
        from facesets.operations.people.corrections.naming import NameTaken
        from facesets.operations.people.review.question_sheet import draw_two_people

        while name:
            try:
                return self._answer(question, "name", [], name)
            except NameTaken as taken:
                self._faces.show(draw_two_people(self._database, taken))
                if self._faces.where:
                    console.out(self._faces.where)
                console.out(f"  {worded(taken.question)}  [y]es, merge them  [n]o, choose another name")
                if self._is_yes():
                    return self._answer(question, "name", [], name, into=True)
                # Two people with one name need an addition to distinguish them.
                name = _read_name(name)
        console.out(f"  {self._keys(question)}")
        return None

    def _is_yes(self) -> bool:
        while (key := read_key()) == "o" and self._faces.can_open:
            self._faces.open()
        return key == "y"

    def _skip(self, question: "Question") -> bool:
        from facesets.operations.people.review.answering import skip

        try:
            skip(self._database, question.id)
        except WrongUsage:
            console.out("  This was answered elsewhere in the meantime.")
            return True
        self._skipped += 1
        self._done.append(question.id)
        console.out("  skipped")
        return True

    def _undo(self) -> bool:
        from facesets.operations.people.corrections.history import undo
        from facesets.operations.people.review.answering import ask_again

        if not self._done:
            console.out("  No answer to undo yet.")
            return False
        last = self._done.pop()
        if isinstance(last, str):
            self._skipped -= 1
            # Answered elsewhere in the meantime: do not ask again.
            with suppress(WrongUsage):
                ask_again(self._database, last)
            console.out("  undid: skip")
            return True
        step = undo(self._database, last, by=current_user())
        self._given -= 1
        console.out(f"  undid: {step.what}")
        return True


def _read_name(start: str = "") -> str:
    return read_name("  name: ", start)


def _begins_name(key: str) -> bool:
    """Whether a key begins a name: the key of an action does only if more letters follow at once."""
    if not key.isprintable() or key.isspace():
        return False
    return key not in _ALONE or is_typing_on()


def answer(
    question: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    verdict: Annotated[
        Literal["yes", "no", "hide"] | None, typer.Argument(metavar="[yes|no|hide]", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    but: Annotated[
        tuple[int, ...],
        Option("Numbers of all items for which the opposite answer is true.", metavar="N..."),
    ] = (),
    name: Annotated[str | None, Option("The name of the unnamed person.", metavar="NAME")] = None,
    into: Annotated[bool, Option("If the name exists, merge both into one person.")] = False,
) -> None:
    """Answer one suggestion of `people review --json`."""
    from facesets.operations.people.review.answering import answer as run

    if (verdict is None) == (name is None):
        raise WrongUsage("Missing answer. Give yes, no, hide or --name NAME.")
    with opened_session(database) as session:
        answered = run(
            session,
            question,
            verdict or "name",
            by=current_user(),
            but=but,
            name=name or "",
            into=into,
        )
    console.show(answered, words.answer(answered))
