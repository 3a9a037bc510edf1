"""The patient's own copy of a recording: asked for, approved, made, delivered by a link with a code."""
