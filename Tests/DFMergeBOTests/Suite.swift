// This suite's files follow.
