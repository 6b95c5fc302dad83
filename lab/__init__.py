"""The lab: what is said about norms, initialisers, activations, dropout and optimisers, run and measured.

``python -m lab --quick`` runs it; `lab/groups/` has one short program per group of claims, `docs/lab/` the pages that
are written from the results in `lab/results/`.
"""
