"""The browser for the end-to-end tests."""

from tests.browser import chromium, pytest_runtest_makereport, window  # noqa: F401  fixtures and a hook
