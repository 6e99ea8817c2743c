"""The pixel store: standardised pictures, read at random by key."""
