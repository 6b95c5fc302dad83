"""The record of a machine with a GPU: its parts, the runner that gives each its time, and the page made from it."""
