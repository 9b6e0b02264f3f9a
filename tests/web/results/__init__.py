"""A result folder in the browser."""
