"""The library in a browser, and as an HTTP API: pages and calls over the same operations as the commands."""
