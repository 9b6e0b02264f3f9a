"""The portable cache: one `.npz` file, and a journal beside it while a run is going."""
