"""Carries out what Keepwell decides: takes a subscription's decisions, contacts leads through providers, and reports what became of it."""
