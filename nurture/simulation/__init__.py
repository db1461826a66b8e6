"""Programs walked on a virtual clock: the real engine, on tables of its own."""
