"""The recorded case that it all started from, packaged."""
