"""One verb a file, in rooms by subject: each composes everything below into what a command does."""
