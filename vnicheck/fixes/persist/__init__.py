"""Persistent configuration: what makes a fix outlive a boot, for the program that configures each interface. Pure."""
