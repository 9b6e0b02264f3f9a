"""`assign`: faces to the people who are known, by what stands for these."""
