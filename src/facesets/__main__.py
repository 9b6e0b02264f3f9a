"""`python -m facesets` is the same program as the `facesets` command."""


def main() -> None:
    """Run the program; never returns."""
    try:
        import signal

        # Until everything is loaded there is nothing to end cleanly: Ctrl-C just ends the process.
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        from facesets.cli.app import main as run

        signal.signal(signal.SIGINT, before)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
