"""XMP packets: read names and regions of other programs, and add ours."""
