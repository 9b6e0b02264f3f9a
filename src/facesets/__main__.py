"""`python -m facesets` is the same program as the `facesets` command."""

from facesets.cli.app import main

main()
