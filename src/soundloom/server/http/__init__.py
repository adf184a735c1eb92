"""HTTP concerns of the server: who may ask, limits, errors, ranges."""
