"""Checks that a user can point at a deployment of his own: clients of the contract alone, which know nothing of how it is kept."""
