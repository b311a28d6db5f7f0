"""Builds each use case from its settings: the only place that makes AWS clients.

One module for each function, which imports no more than its function needs: that is most of a cold start. Each builder
is called once per Lambda environment.
"""
