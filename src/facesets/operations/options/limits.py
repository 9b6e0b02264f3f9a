"""Numbers that a flag may take."""

from facesets.errors import WrongUsage


def within(name: str, value: float, least: float, most: float = float("inf")) -> None:
    """Refuse a number outside of its limits, by the name of its flag. Raises `WrongUsage`."""
    if not least <= value <= most:
        limits = f"between {least} and {most}" if most != float("inf") else f"{least} or more"
        raise WrongUsage(f"--{name} must be {limits}, not {value}.")
