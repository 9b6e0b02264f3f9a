"""Engines that compute clustering tasks outside of this process."""
