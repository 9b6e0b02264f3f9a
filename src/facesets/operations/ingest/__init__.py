"""From files to faces in a store, and keeping up with files that change."""
