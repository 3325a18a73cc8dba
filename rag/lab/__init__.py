"""The lab: contrastive learning shown whole on pictures of digits, from pairs to a map of the space."""
