"""Bad input: thousands of mutated, truncated, oversized and foreign records in every topic, and what must go on beside them."""
