"""What is asked of language models about photos, what they may answer, and what that costs."""
