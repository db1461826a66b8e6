"""Forms of the room leads."""
