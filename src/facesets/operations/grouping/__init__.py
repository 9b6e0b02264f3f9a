"""From faces to groups of people in result folders."""
