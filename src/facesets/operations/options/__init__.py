"""What the commands can be told, with documented defaults; flags and manifests take them from here."""
