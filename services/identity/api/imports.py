"""Imports."""
from .base import Part


class ImportsPart(Part):
    """Imports."""
