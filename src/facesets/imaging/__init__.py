"""Process pixels into pixels or numbers, without models or storage."""
