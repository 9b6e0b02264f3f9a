"""The commands on a library."""
