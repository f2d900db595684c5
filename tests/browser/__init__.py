"""Pages in a real browser: Playwright drives Debian's Chromium, and axe-core looks at the pages.

``axe.min.js`` is axe-core 4.14.1 of Deque Systems, unchanged, as the npm package has it, under the
Mozilla Public License 2.0 (``axe.LICENSE``). Only these tests use it; no page and no wheel has it.
"""
