"""The ways to contact somebody, one module for each provider's protocol."""
