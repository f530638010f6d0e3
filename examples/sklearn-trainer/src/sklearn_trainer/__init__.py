"""Trains linear classifiers of scikit-learn."""
