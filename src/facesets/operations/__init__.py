"""One verb a file: each composes everything below into what a command does."""
