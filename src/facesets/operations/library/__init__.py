"""Work on the whole library: search, checks, totals, schema, backups, transfer."""
