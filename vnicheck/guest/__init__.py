"""The guest's side: collect what a server says of itself over SSH or from a file, and read it into `model.Guest`."""
