"""XMP packets: who is where on a photo, read from what other programs wrote and added beside it."""
