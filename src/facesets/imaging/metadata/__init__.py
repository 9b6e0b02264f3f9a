"""Read metadata in a photo's file: when, where, and by which camera it was taken."""
