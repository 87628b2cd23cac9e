"""`keepwell demo --deliver`: leads go quiet, the service notices, workers mail, call and text, and everything is counted at the end."""
