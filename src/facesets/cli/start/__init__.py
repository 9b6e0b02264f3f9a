"""Commands that find faces in photos, and group faces into folders or people."""
