"""Carries: signalling events between people, and media from people to the recorder."""
