"""Corrections, which no later run overrules; each is one change."""
