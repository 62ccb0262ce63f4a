"""Parts of ``table1_study.py``."""
