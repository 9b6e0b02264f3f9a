"""The job queue and its worker. The only importer of procrastinate."""
