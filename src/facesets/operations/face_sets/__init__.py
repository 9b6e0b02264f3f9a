"""Plan, select, crop and write face sets for other programs."""
