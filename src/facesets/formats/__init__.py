"""Files that other programs read: bundles and crops."""
