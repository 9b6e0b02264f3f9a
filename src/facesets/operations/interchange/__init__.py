"""People told to other programs, and heard of from them, by files that many programs read."""
