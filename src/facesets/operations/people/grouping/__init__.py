"""`cluster` on the library: the methods that group faces into people or clusters."""
