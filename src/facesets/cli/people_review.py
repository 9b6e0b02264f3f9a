"""`facesets people review | answer`: the questions that runs leave, one at a time."""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.terminal import Protocol, ended_by_signals, picture, read_key, read_line
from facesets.cli.user import current_user
from facesets.cli.wording import how_to_undo, worded
from facesets.errors import FacesetsError, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.operations.people.review.answering import Answered, Verdict
    from facesets.operations.people.review.questions import Question
    from facesets.store.postgres.connection import Database

_REFRESHED_EVERY = 20
"""Answers: people who grew by them may resemble others."""

_NONE_LEFT = "No question is open."
_TYPED: "dict[str, Verdict]" = {"y": "yes", "n": "no"}


def review(
    database: DatabaseOption = None,
    limit: Annotated[int, Option("Without a terminal: how many questions.", least=1)] = 100,
) -> None:
    """Answer what runs could not decide: one question at a time, the most useful first.

    Each answer is kept at once, as one step. Without a terminal, or with --json, the questions are printed as
    lines of JSON; `people answer` takes their answers.
    """
    from facesets import settings
    from facesets.operations.people.review.questions import next_questions, refresh_questions
    from facesets.store.postgres.library import Library

    asks = sys.stdin.isatty() and sys.stdout.isatty() and not console.session.json
    with opened_library(database) as session:
        refresh_questions(Library(session))
        if not asks:
            for question in next_questions(session, limit):
                console.out(json.dumps(dataclasses.asdict(question)))
            return
        with ended_by_signals(), tempfile.TemporaryDirectory(prefix="facesets-") as folder:
            _Review(session, Path(folder) / "question.png", settings.inline_pictures()).run()


class _Review:
    """One sitting at the terminal."""

    def __init__(self, database: "Database", sheet: Path, protocol: Protocol) -> None:
        self._database = database
        self._sheet = sheet
        self._protocol = protocol
        self._skipped: list[str] = []
        self._steps: list[int] = []
        self._given = 0

    def run(self) -> None:
        """Ask until there is nothing to ask, or nobody to answer."""
        from facesets.operations.people.review.questions import next_questions, refresh_questions
        from facesets.store.postgres.library import Library

        while True:
            if self._given and self._given % _REFRESHED_EVERY == 0:
                refresh_questions(Library(self._database), of_steps=True)
            found = next_questions(self._database, 1, self._skipped)
            if not found:
                console.out(f"{_NONE_LEFT} {self._count()}")
                return
            self._show(found[0])
            if not self._take_answer(found[0]):
                console.out(self._count())
                return

    def _count(self) -> str:
        skipped = f", {len(self._skipped)} skipped" if self._skipped else ""
        listed = " `facesets people log` lists them." if self._given else ""
        return f"{counted(self._given, 'answer')} kept{skipped}.{listed}"

    def _show(self, question: "Question") -> None:
        from facesets.operations.people.review.question_sheet import draw_question

        png = draw_question(self._database, question)
        self._sheet.write_bytes(png)
        if shown := picture(png, self._protocol):
            console.out(f"\n{shown}")
        settles = f"settles {counted(question.settles, 'face')}"
        console.out(f"\n{question.text}   ({settles})\n  faces: {printable(self._sheet)}")
        for item in question.items:
            alike = item.note or f"similarity {item.cosine_similarity:.2f}"
            console.out(f"  {item.number}  {printable(item.name)}, {counted(item.settles, 'face')}, {alike}")
        console.out(f"  {_keys(question)}")

    def _take_answer(self, question: "Question") -> bool:
        """Read keys until the question is answered or put off; False to end."""
        but: list[int] = []
        while True:
            key = _line() if question.kind == "name" else read_key()
            if key in {"", "q"}:
                return False
            if key == "s":
                self._skipped.append(question.id)
                return True
            if key == "u":
                if self._undo():
                    return True
            elif len(question.items) > 1 and key in map(str, range(1, len(question.items) + 1)):
                but = sorted({int(key)} ^ set(but))
                console.out(f"  all but {', '.join(map(str, but))}" if but else "  all alike")
            elif self._answered(question, key, but):
                return True
            elif question.kind == "name":
                console.out(f"  {_keys(question)}")

    def _answered(self, question: "Question", key: str, but: list[int]) -> bool:
        """Keep the answer that a key gives; False where it gives none."""
        try:
            if question.kind == "name" and _is_name(key):
                answered = self._with_name(question, key)
            elif key == "w" and question.nameless and question.kind != "name":
                answered = self._named(question)
            elif key in {"y", "n"} and question.kind != "name":
                answered = self._answer(question, _TYPED[key], but)
            elif key == "h" and question.nameless:
                answered = self._answer(question, "hide", [])
            else:
                return False
        except FacesetsError as error:
            is_open = self._is_open(question)
            console.out(f"  {worded(f'{error}')}" if is_open else "  That was answered elsewhere meanwhile.")
            return not is_open
        if answered is None:
            return False
        self._given += 1
        if answered.step is not None:
            self._steps.append(answered.step)
        console.out(f"  kept: {answered.did}")
        return True

    def _is_open(self, question: "Question") -> bool:
        """Whether nobody else answered it."""
        from facesets.operations.people.review.open_questions import find_question

        try:
            self._database.run(find_question, question.id)
        except WrongUsage:
            return False
        return True

    def _answer(
        self, question: "Question", verdict: "Verdict", but: list[int], name: str = "", *, into: bool = False
    ) -> "Answered":
        from facesets.operations.people.review.answering import answer as run

        return run(self._database, question.id, verdict, by=current_user(), but=but, name=name, into=into)

    def _named(self, question: "Question") -> "Answered | None":
        """Ask for the name; None if there is none."""
        console.out("  name (nothing for none):")
        name = read_line().strip()
        return self._with_name(question, name) if name else None

    def _with_name(self, question: "Question", name: str) -> "Answered | None":
        """Keep a name, after asking whether two who have it are one; None if they are not."""
        from facesets.operations.people.corrections.naming import NameTaken

        try:
            return self._answer(question, "name", [], name)
        except NameTaken as taken:
            console.out(f"  {worded(taken.question)}  [y]es  [n]o")
            return self._answer(question, "name", [], name, into=True) if read_key() == "y" else None

    def _undo(self) -> bool:
        from facesets.operations.people.corrections.history import undo

        if not self._steps:
            console.out("  Nothing was answered yet.")
            return False
        step = undo(self._database, self._steps.pop(), by=current_user())
        self._given -= 1
        console.out(f"  taken back: {step.what}")
        return True


def _line() -> str:
    """What is typed up to Enter: a space for nothing, empty once there is no more input."""
    text = read_line()
    return (text.strip() or " ") if text else ""


def _is_name(text: str) -> bool:
    """Whether it is a name, rather than a key."""
    return bool(text.strip()) and (len(text) > 1 or not text.isascii())


def _keys(question: "Question") -> str:
    """Which keys answer a question."""
    if question.kind == "name":
        return "Type a name and Enter; or [h]ide: does not matter  [s]kip  [u]ndo  [q]uit, and Enter"
    keys = ["[y]es", "[n]o"]
    if len(question.items) > 1:
        keys = ["[y]es, all", "[n]o, none", f"[1-{len(question.items)}] all but this one"]
    if question.nameless:
        who = "" if question.nameless == question.person else f" {question.items[0].name}"
        keys += [f"[w]ho is{who}: then type a name", "[h]ide: does not matter"]
    return "  ".join([*keys, "[s]kip", "[u]ndo", "[q]uit"])


def answer(
    question: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    verdict: Annotated[
        Literal["yes", "no", "hide"] | None, typer.Argument(metavar="[yes|no|hide]", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    but: Annotated[
        tuple[int, ...],
        Option("Items, by number: of all the contrary is true.", metavar="NUMBER..."),
    ] = (),
    name: Annotated[str | None, Option("Who the person without a name is.", metavar="NAME")] = None,
    into: Annotated[bool, Option("If somebody has that name already, both are one person.")] = False,
) -> None:
    """Answer one question that `people review --json` printed."""
    from facesets.operations.people.review.answering import answer as run

    if (verdict is None) == (name is None):
        raise WrongUsage("Say yes, no or hide, or give --name NAME.")
    with opened_library(database) as session:
        answered = run(
            session,
            question,
            verdict or "name",
            by=current_user(),
            but=but,
            name=name or "",
            into=into,
        )
    console.show(answered, [f"Kept: {answered.did}.{how_to_undo(answered.step)}"])
