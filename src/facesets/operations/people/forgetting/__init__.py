"""`people forget`: a person erased for good."""
