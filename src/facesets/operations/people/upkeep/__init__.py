"""`maintain`: what keeps a library tidy between two runs."""
