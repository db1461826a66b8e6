"""Pages of segments and personas."""
