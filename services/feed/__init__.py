"""Micro-blogging, communities, follows and notifications."""
