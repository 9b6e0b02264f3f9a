"""How the commands that talk to an Immich server reach it."""

from pathlib import Path
from typing import Annotated

import typer

UrlOption = Annotated[
    str | None, typer.Option(help="Address of the server. [default: IMMICH_URL]", show_default=False)
]
ApiKeyFileOption = Annotated[
    Path | None,
    typer.Option(help="A file that holds the API key. [default: IMMICH_API_KEY]", show_default=False),
]
TimeoutOption = Annotated[float, typer.Option(min=0.1, help="Seconds that the server may be silent.")]
BackoffOption = Annotated[
    float, typer.Option(min=0, help="Seconds before a failed request is repeated; doubles each time.")
]
PatienceOption = Annotated[
    float, typer.Option(min=0, help="Seconds to wait for a lost server before the run ends.")
]
