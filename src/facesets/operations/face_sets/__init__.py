"""Face sets for other programs: planned, selected, cropped, written."""
