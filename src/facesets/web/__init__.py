"""The library in a browser and as an HTTP API, over the same operations as the commands."""
