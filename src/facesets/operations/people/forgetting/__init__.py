"""`people forget`: somebody erased for good."""
