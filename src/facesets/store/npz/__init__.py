"""The portable cache: NumPy arrays and JSON in `.npz` files."""
