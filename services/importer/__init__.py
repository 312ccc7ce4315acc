"""Brings people, groups, communities and posts in from files of other systems."""
