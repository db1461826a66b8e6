"""Forms of the room segments."""
