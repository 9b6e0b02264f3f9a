"""How old people are, in words."""

from typing import TYPE_CHECKING, Annotated

from facesets.operations.options.declaration import Option
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.store.postgres.people.person_ages import PersonAge

Guesses = Annotated[bool, Option("Also print the age and the sex that a model guesses from the faces.")]
SEXES = {"M": "male", "F": "female", "U": "unknown"}


def age_lines(age: "PersonAge | None", *, guesses: bool) -> list[tuple[str, str]]:
    """When somebody was born, as far as that is known, as lines of a table; with `guesses` their sex, too."""
    if age is None:
        return []
    lines = []
    if age.said:
        lines.append(("born", f"{age.said} (said)"))
    if age.birth_year is not None:
        faces = counted(age.dated_faces, "dated face")
        year = f"about {age.birth_year:.0f}" if age.faces_agree else "uncertain"
        lines.append(("looks born", f"{year}, by {faces} that spread {age.spread:.1f} years"))
    if guesses and age.sex_probability is not None:
        lines.append(("sex", f"{SEXES[age.sex]}, a model's guess by the faces"))
    return lines
