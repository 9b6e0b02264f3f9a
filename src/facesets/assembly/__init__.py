"""From settings to the parts that operations take, for whoever runs them: a terminal, a browser, a worker."""
