"""One module per outside service. Each turns that service's answers into values and errors of the domain."""
