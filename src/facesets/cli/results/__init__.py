"""The commands on caches and result folders."""
