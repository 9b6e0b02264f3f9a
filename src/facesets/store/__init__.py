"""Where faces live."""
