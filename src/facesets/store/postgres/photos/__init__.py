"""Photos and what is known of them: files, faces, metadata, tags, descriptions; and how they are found."""
