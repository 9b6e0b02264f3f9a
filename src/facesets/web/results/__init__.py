"""A result folder in the browser, without a library: who is in it, and corrections as by a file manager."""
