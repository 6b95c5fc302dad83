"""One short program per group of claims; `lab.group.Group` says what each defines."""
