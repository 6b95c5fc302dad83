"""The ops, one family a file. Import them from `cunet` (arrays) or `cunet.functional` (layers)."""
