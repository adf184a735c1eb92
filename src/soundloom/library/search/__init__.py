"""Search of a library: index, queries, filters, explanations."""
