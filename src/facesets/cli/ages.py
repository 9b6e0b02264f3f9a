"""How old people are, in words."""

from typing import TYPE_CHECKING

from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.store.postgres.people.person_ages import PersonAge


def age_lines(age: "PersonAge | None") -> list[tuple[str, str]]:
    """When somebody was born, and of which sex, as lines of a table; none where nothing is known."""
    if age is None:
        return []
    lines = []
    if age.said:
        lines.append(("born", f"{age.said} (said)"))
    if age.birth_year is not None:
        faces = counted(age.dated_faces, "dated face")
        lines.append(
            ("looks born", f"about {age.birth_year:.0f}, by {faces} that spread {age.spread:.1f} years")
        )
    if age.sex_probability is not None:
        sex = {"M": "male", "F": "female", "U": "unknown"}[age.sex]
        lines.append(("sex", f"{sex} (probability {age.sex_probability:.2f}, by the faces)"))
    return lines
