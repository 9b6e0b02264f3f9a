"""Show and check stores and results; nothing is changed."""
