"""Names to and from other programs."""
