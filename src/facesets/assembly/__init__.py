"""From settings to the parts that operations need, for terminal, browser and worker."""
