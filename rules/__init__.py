"""The core: policy documents, their compiler to durable_rules, and `decide()`. No I/O, no clock, no transport."""
