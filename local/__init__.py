"""Tools that run on a developer's machine; nothing in here is deployed."""
