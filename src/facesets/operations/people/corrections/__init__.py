"""What humans say about who is who, and what a run may not overrule; every change as a step."""
