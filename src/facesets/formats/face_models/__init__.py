"""Face models: embeddings of people in the formats of other programs."""
