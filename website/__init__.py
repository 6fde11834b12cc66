"""What makes a site of docs/: pages that the program itself writes, links into the repository, and their check."""
