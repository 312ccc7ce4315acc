"""Proofs that stand without this network: what was true, in a file that anybody can check."""
