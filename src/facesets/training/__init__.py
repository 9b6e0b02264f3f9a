"""Learn a projection of embeddings from known people: arrays in, layers and metrics out.

Only `loop`, `triplets` and `checkpoints` need torch.
"""
