"""The local engine: an embedded AWS on one loopback port.

It is MiniStack, pinned to one version and started by `local.engine.server` with the differences from AWS that our
template meets closed one by one (`local.engine.differences`). `local.engine.controller.Engine` starts and ends one from
Python, `python -m local.engine start|reset|stop|status` keeps one running from the shell, and `local.engine.sam.deploy`
puts a SAM template on it.
"""
