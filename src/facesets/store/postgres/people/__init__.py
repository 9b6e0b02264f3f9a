"""Who is who: tables of people, of what was said about them, and of the steps that changed it."""
