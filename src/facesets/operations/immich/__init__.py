"""An Immich server: its photos staged, its people and ours brought together."""
