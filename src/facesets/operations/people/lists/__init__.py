"""`people list | show`: lists of people."""
