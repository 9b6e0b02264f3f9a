"""People: tables of people, corrections, and the changes that made them."""
