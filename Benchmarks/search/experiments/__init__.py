"""One module per claim: `jobs` says what to run, `run` runs one, `rows` says what came out."""
