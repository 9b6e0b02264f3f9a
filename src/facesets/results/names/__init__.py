"""What photos, folders and people are called in results."""
