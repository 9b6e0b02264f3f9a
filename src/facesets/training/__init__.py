"""Learning a projection of a recogniser's vectors from known people: arrays in, layers and figures out.

What is learnt with torch is in `loop`, `triplets` and `checkpoints`; nothing else here needs it.
"""
