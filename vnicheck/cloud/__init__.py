"""The cloud room: reads a region's servers and their fabric over the VPC API. The SDK is imported where it is used."""
