"""A projection of embeddings learned from known people: arrays in, layers and figures out.

What is learnt with torch is in `loop`, `triplets` and `checkpoints`; nothing else here needs it.
"""
