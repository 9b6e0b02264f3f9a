"""Add photos and faces to a store, and keep up with changed files."""
