"""Summaries of commands: from the figures of a result to the lines that a terminal shows."""
