"""The road: trigger, gather, score, decide, commit, in batches. It knows no gRPC and no message of the contract."""
