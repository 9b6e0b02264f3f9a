"""Names of photos, folders and people in results."""
