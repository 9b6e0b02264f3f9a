"""The job queue in the library's database: its tables, and our notes on its jobs."""
