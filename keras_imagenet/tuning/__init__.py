"""A search over settings: what is varied, trials one after the other, and what they leave."""
