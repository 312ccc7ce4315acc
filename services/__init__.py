"""The services; none imports another. `main` binds them into one program."""
