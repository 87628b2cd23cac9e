"""The store: a real Redis, its keys, its scripts, and the records in it."""
