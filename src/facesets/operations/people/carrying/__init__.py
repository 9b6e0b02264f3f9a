"""`people export | import`: names and statements to another library and back."""
