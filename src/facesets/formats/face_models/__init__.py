"""People as other programs keep them: embeddings, in a form for each program."""
