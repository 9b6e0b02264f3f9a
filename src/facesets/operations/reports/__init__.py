"""What is in a store or a result, shown or checked; nothing is changed."""
