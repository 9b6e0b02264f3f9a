"""The calls below `/api/v1/faces`."""
