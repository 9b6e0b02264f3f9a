"""Work with an Immich server: stage its photos, and push people back to it."""
