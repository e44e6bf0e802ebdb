"""What the steps of the pipeline share."""

IMAGE = "python:3.11-slim"
PACKAGES = ["scikit-learn", "pandas", "joblib"]
