"""The portable cache: one `.npz` file, and a journal beside it during a run."""
