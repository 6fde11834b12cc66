"""Boot configuration: what netplan, networkd, NetworkManager, ifupdown, wicked and sysctl.d set at the next boot."""
