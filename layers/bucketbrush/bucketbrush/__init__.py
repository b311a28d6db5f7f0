"""Bucketbrush: an asynchronous AI image API behind an S3 bucket.

Imports point inward: handlers -> wiring -> use cases (submit, status, finalize) -> adapters -> domain. The domain
knows neither AWS nor HTTP; an adapter knows no use case. ``tests/unit/test_architecture.py`` holds it.
"""
