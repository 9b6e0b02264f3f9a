"""One person over many years, cut into eras."""
