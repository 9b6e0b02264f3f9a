"""The people of the library: corrections, suggestions, grouping and erasing."""
