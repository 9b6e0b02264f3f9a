"""Model packs, and how fast and how well they run on this machine."""
