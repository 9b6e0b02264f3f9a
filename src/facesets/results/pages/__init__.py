"""Contact sheets and browser pages of results."""
