"""Sounds as the page needs them: decoded in child processes, drawn, transcoded, cached."""
