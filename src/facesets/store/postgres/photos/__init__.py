"""Data about photos: files, faces, metadata, tags, descriptions; and searches."""
