"""Questions to language models about photos, valid answers, and costs."""
