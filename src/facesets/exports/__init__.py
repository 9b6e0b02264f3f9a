"""What is written for people and other programs: folders, crops, bundles, manifests."""
