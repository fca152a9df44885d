"""What a Handle server does with a message, whichever socket it came by."""
