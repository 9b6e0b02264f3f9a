"""Users' changes in result folders, and the corrections that follow from them."""
