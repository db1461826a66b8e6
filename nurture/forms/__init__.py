"""Forms of the room nurture."""
