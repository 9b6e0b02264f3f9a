"""The library: images, faces and people in Postgres with pgvector."""
