"""One file for each protocol; :mod:`looc_mm.evaluation` names them."""
