"""What has nothing to do with networks: files written whole, workers."""
