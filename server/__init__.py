"""The shell: gRPC services, the store, settings and signals around the core. The road runs one way: gather, score, decide, commit, feed."""
