"""Normalisations: batch, layer, group, instance and RMS norm.

Each op chooses which values share statistics and which share a weight (`groups`); `forward` and `backward` do the rest.
"""
