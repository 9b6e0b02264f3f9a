"""The queue in the library's database: its tables, and what is noted about its jobs."""
