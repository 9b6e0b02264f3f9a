"""`people review`, `explain`: what no run could decide, and why a face is whose it is."""
