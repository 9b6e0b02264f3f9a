"""What a photo's file says beside its pixels: when, where, and by which camera it was taken."""
