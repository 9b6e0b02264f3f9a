"""HTTP clients; the only importer of httpx."""
