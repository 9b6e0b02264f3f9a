"""The options of the commands, with documented defaults; flags and manifests take them from here."""
