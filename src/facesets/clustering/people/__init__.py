"""Known people: matches of new faces, reference faces and suggestions."""
