"""HTTP; the only place that imports httpx."""
