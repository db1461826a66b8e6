"""Yardsticks: the product and the raw limit side by side in one run."""
