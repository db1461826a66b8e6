"""The demo company: a believable B2B business with eighteen months of history, of any size, reproducible by seed."""
