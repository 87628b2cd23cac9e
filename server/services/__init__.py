"""The contract's services: convert, call, convert. Everything that decides is further down the road."""
