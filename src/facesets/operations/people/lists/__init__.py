"""`people list | show`: who there is."""
