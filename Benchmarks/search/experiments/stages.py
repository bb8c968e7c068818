def jobs(p):
    return []
