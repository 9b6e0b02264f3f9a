"""The commands on an Immich server: photos from it, people back to it."""
