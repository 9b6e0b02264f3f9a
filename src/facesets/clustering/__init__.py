"""Arrays in, labels out: pure functions on embeddings."""
