"""Pages of the room nurture, a file for each subject."""
