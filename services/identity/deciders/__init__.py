"""The rules of identity, one module a stream category."""
