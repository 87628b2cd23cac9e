"""The contract's messages to the core's types and back: the only package that knows both."""
