"""Results to look at: contact sheets, and pages for a browser."""
