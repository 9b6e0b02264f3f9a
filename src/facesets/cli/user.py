"""Who sits at the terminal, for the log of changes."""

import getpass
import platform


def current_user() -> str:
    """The account and the machine, such as `anna@home`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        # An account without a name, as in a container.
        name = "somebody"
    return f"{name}@{platform.node()}"
