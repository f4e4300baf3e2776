"""What is served: its signatures and export, the check that it serves, and its versions."""
