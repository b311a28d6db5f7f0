"""Bucketbrush: an asynchronous AI image API behind an S3 bucket.

Imports point inward: handlers -> wiring -> use cases (submit, status, finalize) -> adapters -> domain. The domain
knows neither AWS nor HTTP; an adapter knows no use case. ``tests/unit/test_architecture.py`` holds it.
"""

import gc

USUAL_THRESHOLD = gc.get_threshold()
# Until a function has handled its first event nearly all that it makes stays: looking for garbage meanwhile is a tenth
# of a cold start.
gc.set_threshold(200_000)
