"""A trainer without a framework: it does what CONFIG_JSON's script says, and speaks the whole contract."""
