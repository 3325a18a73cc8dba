"""Model servers of others, and what is the same and what differs in how they are spoken to."""
