"""`people review`, `explain`: suggestions, and why a face was matched to a person."""
