"""Delivery of a log to those who follow it: effectively once, in order, restartable."""
