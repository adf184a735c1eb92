"""Analyses of embeddings and layers: ablation, contributions, correlation, layer choice, projection."""
