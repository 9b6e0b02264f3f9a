"""Known people: which new faces are theirs, what stands for them, and what is to be asked about them."""
