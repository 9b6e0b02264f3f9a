"""What language models said of photos, and the account of what was asked of them."""
