"""`train`: a projection learned from named people, compared, and used if it helps."""
