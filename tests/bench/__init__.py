"""What is measured: one module per benchmark, started by `python run.py bench NAME`."""
