"""`assign`: unassigned faces matched to known people."""
