"""The queue: what is put into it, and the worker that takes it out. The only importer of procrastinate."""
