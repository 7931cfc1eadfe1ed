"""Findings about each part of a cluster. Pure.

control     API server, definitions, operator, rights, objects that stand still
storage     claims and storage classes
nodes       GPUs, Pod Security, images
network     policies, and the way to the hub
all_parts   all of them, and how bad it is
"""
