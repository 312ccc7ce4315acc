"""gRPC between services: in one process or over the network."""
