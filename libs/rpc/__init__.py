"""gRPC between services: in one process or over the network."""
import os

# gRPC's core writes to stderr past our log, not as JSON, and says there what calls and health report anyway.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
