"""Split a person into eras of many years."""
