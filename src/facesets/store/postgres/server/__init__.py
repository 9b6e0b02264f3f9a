"""The embedded server, and the programs that come with PostgreSQL."""
