"""What `tools/fuzz.py` is made of: calls drawn at random, ways to run them, and what counts as a finding."""
