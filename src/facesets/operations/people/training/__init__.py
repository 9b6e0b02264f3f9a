"""`train`: a projection learnt from names, compared, and used where it helps."""
