"""The commands of the help's first group: photos into faces, faces into folders."""
