"""Finds rows that say what an earlier row said, exactly or nearly, in files of any size with memory by a formula."""
