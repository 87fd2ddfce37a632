"""The report of a run: one HTML page that needs nothing else, with pictures of what was trained, judged and spent."""
