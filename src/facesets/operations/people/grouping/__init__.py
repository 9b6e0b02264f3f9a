"""`cluster` on the library: by which method faces become people or clusters."""
