"""`maintain`: maintenance of the library between runs."""
