"""Forms of the room scoring."""
