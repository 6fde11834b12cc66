"""What the VPC does with a packet: one file a stage, each a pure function. Knows nothing of Linux."""
