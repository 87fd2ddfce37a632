"""Ways in and out: putting a release where others take it."""
