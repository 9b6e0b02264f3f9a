"""Exchange names of people with other programs, through files that they read."""
