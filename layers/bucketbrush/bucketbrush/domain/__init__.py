"""Rules without I/O: the same input gives the same answer, and time comes in as an argument."""
