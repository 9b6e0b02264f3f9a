"""Who sits at the terminal, for the log of changes."""

import getpass
import platform


def current_user() -> str:
    """The account and the machine, such as `anna@home`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        # An account without a name, as in a container, or an environment of Windows without one.
        name = "somebody"
    return f"{name}@{platform.node()}"
