"""What users did in result folders since these were written, and what follows from it."""
