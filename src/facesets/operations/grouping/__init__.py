"""Group faces into people in result folders."""
