"""What every test stands on; the services come from tests/instance.py."""
